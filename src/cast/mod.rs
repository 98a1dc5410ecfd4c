//! Reads a cast: a CSV or a folder of character art.
