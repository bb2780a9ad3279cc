//! Reports, one file a format, made from a run's journal alone.
