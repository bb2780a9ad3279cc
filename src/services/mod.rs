//! Programs that a run starts and takes down again.
