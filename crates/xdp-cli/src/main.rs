//! The `xdp` command.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    xdp_cli::main()
}
