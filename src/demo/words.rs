//! What the demo says beside its figures.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use super::clocks;
use super::scenario::{self, Scenario};

/// What is said when everything is set up.
pub(super) fn welcome(addresses: &[SocketAddr], seed: u64, scenario: &Scenario) -> String {
    let all: Vec<String> = addresses.iter().map(|address| format!("http://{address}")).collect();
    let (all, address) = (all.join(", "), all.first().map(String::as_str).unwrap_or_default());
    let (customer, owner, password) = (scenario::CUSTOMER_EMAIL, scenario::OWNER_EMAIL, scenario::PASSWORD);
    let (clocks, kinds) = (clocks::told(), scenario.told());
    format!(
        "Bellhop is taking orders at {all}\n\
         \x20 API documentation   {address}/docs/\n\
         \x20 sign in as customer {customer}  password {password}\n\
         \x20 sign in as merchant {owner}     password {password}\n\
         \x20 an order that you place yourself is answered by the devices too, and disturbs nothing\n\
         Devices lose their connection all the time and come back where they were; some customers send their order twice.\n\
         {clocks}{kinds}Seed {seed}; Ctrl-C stops taking orders and counts\n"
    )
}

/// Writes to standard output, if anybody reads it.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    // Nobody reads any more: the exit status still tells.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_says_where_to_look_and_how_to_sign_in() {
        let none = Scenario { businesses: Vec::new(), customers: Vec::new(), couriers: Vec::new() };
        let text = welcome(&[8000, 8001].map(|port| SocketAddr::from(([127, 0, 0, 1], port))), 7, &none);
        for part in [
            "at http://127.0.0.1:8000, http://127.0.0.1:8001\n",
            "http://127.0.0.1:8000/docs/",
            "customer1@bellhop.example",
            "owner1@bellhop.example",
            "is cancelled after 8 s",
            "Seed 7",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
