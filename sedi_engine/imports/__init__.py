"""What comes into a store: files of many forms, read in a process of their own, taken in whole or not at all."""
