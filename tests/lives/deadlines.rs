//! Thousands of deadlines, punctual and over a kill.
