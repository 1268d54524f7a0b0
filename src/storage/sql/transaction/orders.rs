//! The orders of a batch: locked, decided upon, numbered and written together.

use std::collections::{BTreeSet, HashMap};

use crate::domain::event::Announcement;
use crate::domain::ids::{OrderId, UserId};
use crate::domain::order::{
    AnnouncementIds, FollowUp, NewOrder, Order, OrderChange, OrderEdit, OrderField, Party, Status,
};
use crate::domain::time::Timestamp;
use crate::storage::commands::PlaceOrder;
use crate::storage::crypto::cipher::Cipher;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{NewOrderRow, OrderItemRow, OrderRow, assemble};
use crate::storage::sql::statement::{Arg, Dialect, Statement};

use super::order_numbers;
use super::order_rows::{
    INSERT, INSERT_EDITS, INSERT_EVENTS, INSERT_ITEMS, INSERT_TERMS, ITEMS_OF_ORDERS, LOCK, MovedRow,
    OrderEditRow, OrderEventRow, READ, UPDATE, UPDATE_WORDING, moved_row,
};
use super::waiting_orders::WaitingOrders;

/// An order as one command left it.
enum Snapshot {
    /// It was there already.
    Unchanged(Box<Order>),
    Changed(Box<OrderChange>, Vec<OrderEventRow>),
    Edited(Box<OrderEdit>, OrderEditRow),
}

impl Snapshot {
    fn order(&self) -> &Order {
        match self {
            Self::Unchanged(order) => order,
            Self::Changed(change, _) => &change.order,
            Self::Edited(edit, _) => &edit.order,
        }
    }

    fn order_mut(&mut self) -> &mut Order {
        match self {
            Self::Unchanged(order) => order,
            Self::Changed(change, _) => &mut change.order,
            Self::Edited(edit, _) => &mut edit.order,
        }
    }
}

/// Who moved an order, and why.
pub(super) struct Mover {
    pub(super) party: Party,
    pub(super) user: Option<UserId>,
    pub(super) reason: Option<String>,
}

#[derive(Default)]
pub(super) struct Orders {
    /// Every order of the batch as it is now.
    present: HashMap<OrderId, Order>,
    /// Those placed in this batch, in the order of the commands, with the day they are numbered in.
    placed: Vec<(OrderId, String)>,
    /// Those that were there and have been moved.
    moved: BTreeSet<OrderId>,
    /// Those that say something else than before.
    edited: BTreeSet<OrderId>,
    waiting: WaitingOrders,
    snapshots: Vec<Snapshot>,
}

impl Orders {
    /// Reads these orders and keeps everybody else from moving them until the transaction ends.
    pub(super) async fn lock(
        &mut self,
        connection: &mut Connection,
        cipher: &Cipher,
        ids: &BTreeSet<OrderId>,
    ) -> Result<(), TxError> {
        self.present = select(connection, cipher, &LOCK, ids).await?;
        Ok(())
    }

    /// Counts the waiting orders of the customers who order more, where that has a bound.
    pub(super) async fn count_waiting<'d>(
        &mut self,
        connection: &mut Connection,
        places: impl Iterator<Item = &'d PlaceOrder>,
    ) -> Result<(), TxError> {
        self.waiting.load(connection, places).await
    }

    /// Whether the customer has as many waiting orders at the business as they may.
    pub(super) fn is_full_for(&self, place: &PlaceOrder) -> bool {
        self.waiting.is_full_for(place)
    }

    pub(super) fn get(&self, id: OrderId) -> Option<&Order> {
        self.present.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: OrderId) -> Option<&mut Order> {
        self.present.get_mut(&id)
    }

    /// The order as the command of this step left it.
    pub(super) fn snapshot(&self, step: usize) -> &Order {
        self.snapshots[step].order()
    }

    /// What the rooms of the order are told of this step.
    pub(super) fn announce(&self, step: usize, ids: AnnouncementIds) -> Announcement {
        match &self.snapshots[step] {
            Snapshot::Changed(change, _) => change.announce(ids),
            Snapshot::Edited(edit, _) => edit.announce(ids),
            Snapshot::Unchanged(_) => Announcement::default(),
        }
    }

    /// Takes in a new order; its number comes later.
    pub(super) fn add(&mut self, new: NewOrder, at: Timestamp) -> usize {
        let NewOrder { order, placed_by, follows, day } = new;
        self.placed.push((order.id, day));
        self.present.insert(order.id, order.clone());
        let user = Some(order.customer_id);
        self.changed(OrderChange { order, from: None, party: placed_by, follows, at }, user, None)
    }

    /// Notes that the order has been moved to where it is now.
    pub(super) fn moved(
        &mut self,
        id: OrderId,
        from: Status,
        follows: &'static [FollowUp],
        mover: Mover,
        at: Timestamp,
    ) -> usize {
        let order = self.present[&id].clone();
        if !self.placed.iter().any(|(id, _)| *id == order.id) {
            self.moved.insert(order.id);
        }
        let change = OrderChange { order, from: Some(from), party: mover.party, follows, at };
        self.changed(change, mover.user, mover.reason)
    }

    /// Notes that the order says something else than before, without having been moved.
    pub(super) fn edited(
        &mut self,
        id: OrderId,
        changed: Vec<OrderField>,
        (party, user): (Party, UserId),
        at: Timestamp,
    ) -> usize {
        self.moved.insert(id);
        self.edited.insert(id);
        let edit = OrderEdit { order: self.present[&id].clone(), changed, party, at };
        let row = OrderEditRow::of(&edit, user);
        self.push(Snapshot::Edited(Box::new(edit), row))
    }

    /// The order as it is now, without anything having happened.
    pub(super) fn unchanged(&mut self, id: OrderId) -> usize {
        let order = self.present[&id].clone();
        self.push(Snapshot::Unchanged(Box::new(order)))
    }

    /// Its money stands otherwise than before; rooms hear of that by itself.
    pub(super) fn touched(&mut self, id: OrderId) {
        self.moved.insert(id);
    }

    /// A time of the order is another one; nobody is told.
    pub(super) fn shifted(&mut self, id: OrderId) -> usize {
        self.moved.insert(id);
        self.unchanged(id)
    }

    fn changed(&mut self, change: OrderChange, user: Option<UserId>, reason: Option<String>) -> usize {
        self.waiting.moved(&change.order, change.from);
        let rows = OrderEventRow::all_of(&change, user, reason);
        self.push(Snapshot::Changed(Box::new(change), rows))
    }

    fn push(&mut self, snapshot: Snapshot) -> usize {
        self.snapshots.push(snapshot);
        self.snapshots.len() - 1
    }

    /// Gives the new orders the next numbers of their businesses' days.
    pub(super) async fn number(&mut self, connection: &mut Connection) -> Result<(), TxError> {
        if self.placed.is_empty() {
            return Ok(());
        }
        let placed = self.placed.iter().map(|(id, day)| (*id, self.present[id].business_id, day.as_str()));
        let numbers = order_numbers::give(connection, placed).await?;
        for order in self.present.values_mut().chain(self.snapshots.iter_mut().map(Snapshot::order_mut)) {
            if let Some(given) = numbers.get(&order.id) {
                order.order_number = *given;
            }
        }
        Ok(())
    }

    /// Writes orders, lines and the log of their transitions, whatever their number in a statement each.
    pub(super) async fn write(
        &mut self,
        connection: &mut Connection,
        cipher: &Cipher,
    ) -> Result<(), TxError> {
        let dialect = connection.dialect();
        let placed: Vec<&Order> = self.placed.iter().map(|(id, _)| &self.present[id]).collect();
        if !placed.is_empty() {
            let rows: Vec<NewOrderRow> = placed
                .iter()
                .map(|order| NewOrderRow::of(order, cipher, dialect))
                .collect::<Result<_, _>>()?;
            let rows = [Arg::rows(&rows)];
            connection.execute(&INSERT, &rows).await?;
            if dialect == Dialect::Sqlite {
                connection.execute(&INSERT_TERMS, &rows).await?;
            }
            let items: Vec<OrderItemRow> =
                placed.iter().flat_map(|order| OrderItemRow::all_of(order)).collect();
            connection.execute(&INSERT_ITEMS, &[Arg::rows(&items)]).await?;
        }
        let moved: Vec<MovedRow> = self.moved.iter().map(|id| moved_row(&self.present[id])).collect();
        if !moved.is_empty() {
            connection.execute(&UPDATE, &[Arg::rows(&moved)]).await?;
        }
        let changes = self.snapshots.iter().filter_map(|snapshot| match snapshot {
            Snapshot::Changed(_, rows) => Some(rows),
            Snapshot::Edited(..) | Snapshot::Unchanged(_) => None,
        });
        let events: Vec<&OrderEventRow> = changes.flatten().collect();
        if !events.is_empty() {
            connection.execute(&INSERT_EVENTS, &[Arg::rows(&events)]).await?;
        }
        self.write_edits(connection, cipher).await
    }

    /// Writes what orders say now, and the log of these changes.
    async fn write_edits(&self, connection: &mut Connection, cipher: &Cipher) -> Result<(), TxError> {
        if self.edited.is_empty() {
            return Ok(());
        }
        let edited: Vec<OrderRow> =
            self.edited.iter().map(|id| OrderRow::of(&self.present[id], cipher)).collect::<Result<_, _>>()?;
        connection.execute(&UPDATE_WORDING, &[Arg::rows(&edited)]).await?;
        let edits = self.snapshots.iter().filter_map(|snapshot| match snapshot {
            Snapshot::Edited(_, row) => Some(row),
            Snapshot::Changed(..) | Snapshot::Unchanged(_) => None,
        });
        let edits: Vec<&OrderEditRow> = edits.collect();
        connection.execute(&INSERT_EDITS, &[Arg::rows(&edits)]).await.map(drop)
    }
}

/// Orders as stored, without locking them.
pub(super) async fn read(
    connection: &mut Connection,
    cipher: &Cipher,
    ids: &BTreeSet<OrderId>,
) -> Result<HashMap<OrderId, Order>, TxError> {
    select(connection, cipher, &READ, ids).await
}

async fn select(
    connection: &mut Connection,
    cipher: &Cipher,
    statement: &Statement,
    ids: &BTreeSet<OrderId>,
) -> Result<HashMap<OrderId, Order>, TxError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = [Arg::texts(ids)];
    let rows: Vec<OrderRow> = connection.fetch(statement, &ids).await?;
    let lines = connection.fetch(&ITEMS_OF_ORDERS, &ids).await?;
    Ok(assemble(rows, lines, cipher)?.into_iter().map(|order| (order.id, order)).collect())
}
