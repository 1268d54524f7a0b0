//! Arguments, settings, telemetry, the application, an exit code.

fn main() {}
