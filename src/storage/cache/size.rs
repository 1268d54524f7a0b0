//! Size of an entry in bytes, about: exact enough to keep the cache within its bounds.

use quick_cache::Weighter;

use crate::domain::business::{Business, MenuItem};
use crate::domain::order::{Order, OrderItem};

use super::entry::{Entry, Key, Value};

/// The map's own share of an entry, and the entry itself.
const OVERHEAD: usize = 128 + size_of::<Key>() + size_of::<Entry>();

/// Counts bytes, and for every entry at least so many that no more than the entries allowed fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntrySize {
    least: u64,
}

impl EntrySize {
    pub(super) fn new(max_bytes: usize, max_entries: usize) -> Self {
        Self { least: (max_bytes / max_entries.max(1)) as u64 }
    }
}

impl Weighter<Key, Entry> for EntrySize {
    fn weight(&self, key: &Key, entry: &Entry) -> u64 {
        let words = match key {
            Key::FirstPage(page) => page.0.words.iter().map(String::len).sum(),
            _ => 0,
        };
        let value = match &entry.value {
            Value::Business(business) => {
                let contact = [&business.contact.email, &business.contact.phone];
                let contact: usize = contact.into_iter().flatten().map(String::len).sum();
                size_of::<Business>() + business.name.len() + business.zone.len() + contact
            }
            Value::Menu(menu) => menu.iter().map(item).sum(),
            Value::Order(one) => order(one),
            Value::FirstPage(page) => page.orders.iter().map(order).sum(),
            Value::Stats(_) | Value::Membership(_) => 0,
        };
        let bytes = OVERHEAD + words + entry.inputs.len() * size_of::<(usize, u64)>() + value;
        (bytes as u64).max(self.least)
    }
}

fn item(item: &MenuItem) -> usize {
    let texts = item.sku.len() + item.name.len() + item.category.as_ref().map_or(0, String::len);
    size_of::<MenuItem>() + texts
}

fn order(order: &Order) -> usize {
    let ended = order.ended_reason.as_ref().map_or(&None, |ended| &ended.text);
    let texts = [&order.phone, &order.notes, ended].into_iter().flatten().map(String::len).sum::<usize>();
    let address = order.address.as_ref().map_or(0, |address| address.text.len());
    let items = order.items.iter().map(|item| size_of::<OrderItem>() + item.sku.len() + item.name.len());
    size_of::<Order>() + order.customer_name.len() + texts + address + items.sum::<usize>()
}
