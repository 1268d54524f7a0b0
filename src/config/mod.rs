//! Every setting of every module, read from files and the environment.
