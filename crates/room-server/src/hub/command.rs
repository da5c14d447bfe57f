//! Commands from the signalling connections to the hub.

use protocol::messages::{JoinRequest, Request};

use tokio::sync::oneshot;

use super::ids::ConnectionId;
use crate::admin::{AdminError, AdminReply, AdminRequest};
use crate::auth::Admission;
use crate::reached::Reached;
use crate::signalling::SignalSender;

/// A request to the hub.
pub enum Command {
    /// A client opened a signalling connection.
    Connect(Box<Connect>),
    /// A client sent a message.
    Request(ConnectionId, Box<Request>),
    /// A signalling connection is gone.
    Disconnected(ConnectionId),
    /// A call of an application's own server.
    Admin(Box<AdminCall>),
    /// All participants have to leave.
    Shutdown,
}

/// A call of an application's own server, whose right to it has been checked.
pub struct AdminCall {
    /// Its app (API key).
    pub app: String,
    /// The request.
    pub request: AdminRequest,
    /// The sender of its result.
    pub reply: oneshot::Sender<Result<AdminReply, AdminError>>,
}

/// A new signalling connection.
pub struct Connect {
    /// Its number.
    pub connection: ConnectionId,
    /// The identity and the permissions of the participant.
    pub admission: Admission,
    /// Whether all tracks shall be subscribed without being asked for.
    pub auto_subscribe: bool,
    /// Set for a resume: the participant's sid, or empty if unknown.
    pub resume: Option<String>,
    /// The join request of a client with one peer connection; `None` for one with two.
    pub single: Option<Box<JoinRequest>>,
    /// By which name and port it reached us.
    pub reached: Reached,
    /// Where answers go.
    pub sender: SignalSender,
}
