"""The diversity map: vectors and a layout, made beside the pages."""
