"""Streamlit-only helpers of the screens."""
