//! The actor of the bridge: passes each message on.

use std::sync::Arc;

use actix::prelude::{Actor, Context, Handler};

use crate::bus::Received;

use super::effects::BusListener;
use super::messages::Hear;

pub(super) struct BridgeActor {
    listener: Arc<dyn BusListener>,
}

impl BridgeActor {
    pub(super) const fn new(listener: Arc<dyn BusListener>) -> Self {
        Self { listener }
    }
}

impl Actor for BridgeActor {
    type Context = Context<Self>;
}

impl Handler<Hear> for BridgeActor {
    type Result = ();

    fn handle(&mut self, Hear { received, done }: Hear, _: &mut Self::Context) {
        match received {
            Received::Message(message) => self.listener.obey(message),
            Received::Lost => {
                tracing::warn!("messages of other nodes were lost; all rooms are compared with the store");
                self.listener.lost();
            }
        }
        // Nobody waits any more when the node is stopping.
        let _ = done.send(());
    }
}
