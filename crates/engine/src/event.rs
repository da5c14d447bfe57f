//! Events for the application: the vendor's names, with their documented fields in their documented order, since
//! applications spread them into arguments. Additional fields come last.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use media::DeviceInfo;
use media::audio::DeviceKind;
use media::video::screen::Area;
use serde_json::{Value, json};

use crate::config::User;
use crate::playback_stalls::MediaEvent;

/// Receives events in the order in which they happened. Called on the engine's threads; must not block.
pub trait EventSink: Send + Sync {
    /// One event.
    fn emit(&self, event: Event);
}

/// One event: its documented name and an object with its documented fields.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Event {
    /// For example `onRoomStateUpdate`.
    pub name: &'static str,
    /// An object, field names as documented.
    pub payload: Value,
}

/// Text of `extendedData` when there is nothing to say: an empty JSON table.
pub(crate) const NO_EXTENDED_DATA: &str = "{}";

/// `ZegoRoomState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoomState {
    Disconnected = 0,
    Connecting = 1,
    Connected = 2,
}

/// `ZegoRoomStateChangedReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoomReason {
    Logining = 0,
    Logined = 1,
    LoginFailed = 2,
    Reconnecting = 3,
    Reconnected = 4,
    ReconnectFailed = 5,
    KickOut = 6,
    Logout = 7,
    LogoutFailed = 8,
}

impl RoomReason {
    /// The room state that belongs to a reason; a refused logout changes none.
    fn state(self) -> Option<RoomState> {
        match self {
            Self::Logining | Self::Reconnecting => Some(RoomState::Connecting),
            Self::Logined | Self::Reconnected => Some(RoomState::Connected),
            Self::LoginFailed | Self::ReconnectFailed | Self::KickOut | Self::Logout => Some(RoomState::Disconnected),
            Self::LogoutFailed => None,
        }
    }
}

/// `ZegoPublisherState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublisherState {
    NoPublish = 0,
    PublishRequesting = 1,
    Publishing = 2,
}

/// `ZegoPlayerState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlayerState {
    NoPlay = 0,
    PlayRequesting = 1,
    Playing = 2,
}

/// `ZegoUpdateType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpdateType {
    Add = 0,
    Delete = 1,
}

fn event(name: &'static str, payload: Value) -> Event {
    Event { name, payload }
}

/// `onRoomStateChanged` and its older twin `onRoomStateUpdate`, which always go out together.
pub(crate) fn room_state(room_id: &str, reason: RoomReason, code: i32, extended: &str) -> Vec<Event> {
    let changed = json!({"roomID": room_id, "reason": reason as i32, "errorCode": code, "extendedData": extended});
    let mut events = vec![event("onRoomStateChanged", changed)];
    if let Some(state) = reason.state() {
        let update = json!({"roomID": room_id, "state": state as i32, "errorCode": code, "extendedData": extended});
        events.push(event("onRoomStateUpdate", update));
    }
    events
}

pub(crate) fn room_user_update(room_id: &str, update: UpdateType, users: &[User]) -> Event {
    event("onRoomUserUpdate", json!({"roomID": room_id, "updateType": update as i32, "userList": users}))
}

/// One stream of `onRoomStreamUpdate`'s list.
pub(crate) fn stream_item(user: &User, stream_id: &str, extra_info: &str) -> Value {
    json!({"user": user, "streamID": stream_id, "extraInfo": extra_info})
}

pub(crate) fn room_stream_update(room_id: &str, update: UpdateType, streams: Vec<Value>, extended: &str) -> Event {
    let payload =
        json!({"roomID": room_id, "updateType": update as i32, "streamList": streams, "extendedData": extended});
    event("onRoomStreamUpdate", payload)
}

pub(crate) fn stream_extra_info(room_id: &str, streams: Vec<Value>) -> Event {
    event("onRoomStreamExtraInfoUpdate", json!({"roomID": room_id, "streamList": streams}))
}

pub(crate) fn room_extra_info(room_id: &str, entries: Vec<Value>) -> Event {
    event("onRoomExtraInfoUpdate", json!({"roomID": room_id, "roomExtraInfoList": entries}))
}

pub(crate) fn online_user_count(room_id: &str, count: usize) -> Event {
    event("onRoomOnlineUserCountUpdate", json!({"roomID": room_id, "count": count}))
}

pub(crate) fn token_will_expire(room_id: &str, remaining_s: u64) -> Event {
    event("onRoomTokenWillExpire", json!({"roomID": room_id, "remainTimeInSecond": remaining_s}))
}

pub(crate) fn publisher_state(stream_id: &str, state: PublisherState, code: i32) -> Event {
    let payload =
        json!({"streamID": stream_id, "state": state as i32, "errorCode": code, "extendedData": NO_EXTENDED_DATA});
    event("onPublisherStateUpdate", payload)
}

pub(crate) fn player_state(stream_id: &str, state: PlayerState, code: i32) -> Event {
    let payload =
        json!({"streamID": stream_id, "state": state as i32, "errorCode": code, "extendedData": NO_EXTENDED_DATA});
    event("onPlayerStateUpdate", payload)
}

/// The same with a reason in words.
pub(crate) fn publisher_state_because(stream_id: &str, state: PublisherState, code: i32, reason: &str) -> Event {
    let extended = json!({"reason": reason}).to_string();
    let payload = json!({"streamID": stream_id, "state": state as i32, "errorCode": code, "extendedData": extended});
    event("onPublisherStateUpdate", payload)
}

/// The same with a reason in words.
pub(crate) fn player_state_because(stream_id: &str, state: PlayerState, code: i32, reason: &str) -> Event {
    let extended = json!({"reason": reason}).to_string();
    let payload = json!({"streamID": stream_id, "state": state as i32, "errorCode": code, "extendedData": extended});
    event("onPlayerStateUpdate", payload)
}

/// Events whose only field is the publish channel.
pub(crate) fn of_channel(name: &'static str, channel: u32) -> Event {
    event(name, json!({"channel": channel}))
}

/// Events whose only field is the stream ID.
pub(crate) fn of_stream(name: &'static str, stream_id: &str) -> Event {
    event(name, json!({"streamID": stream_id}))
}

/// Events whose only field is this one.
pub(crate) fn with_field(name: &'static str, field: &str, value: Value) -> Event {
    event(name, json!({ field: value }))
}

/// The bytes as text in base64: events cross to JS as JSON, and there the bytes are made of it again.
pub(crate) fn player_sei(name: &'static str, stream_id: &str, data: &[u8]) -> Event {
    event(name, json!({"streamID": stream_id, "data": STANDARD.encode(data)}))
}

pub(crate) fn barrage_message(room_id: &str, message: &str, id: &str, send_time_ms: u64, from: &User) -> Event {
    let item = json!({"message": message, "messageID": id, "sendTime": send_time_ms, "fromUser": from});
    event("onIMRecvBarrageMessage", json!({"roomID": room_id, "messageList": [item]}))
}

/// `ZegoDeviceExceptionType` and `ZegoDeviceType`.
pub(crate) fn device_exception(exception: i32, device: i32, device_id: &str) -> Event {
    let payload = json!({"exceptionType": exception, "deviceType": device, "deviceID": device_id});
    event("onLocalDeviceExceptionOccurred", payload)
}

pub(crate) fn video_device_state(update: UpdateType, device: &DeviceInfo) -> Event {
    event("onVideoDeviceStateChanged", json!({"updateType": update as i32, "deviceInfo": device}))
}

pub(crate) fn audio_device_state(update: UpdateType, kind: DeviceKind, device: &DeviceInfo) -> Event {
    // `ZegoAudioDeviceType`.
    let device_type = i32::from(kind == DeviceKind::Speaker);
    let payload = json!({"updateType": update as i32, "deviceType": device_type, "deviceInfo": device});
    event("onAudioDeviceStateChanged", payload)
}

/// `ZegoEngineState`.
pub(crate) fn engine_state(runs: bool) -> Event {
    event("onEngineStateUpdate", json!({"state": i32::from(!runs)}))
}

/// `way`: 0 = up, 1 = down.
pub(crate) fn speed_test_quality(quality: &impl serde::Serialize, way: u32) -> Event {
    event("onNetworkSpeedTestQualityUpdate", json!({"quality": quality, "type": way}))
}

pub(crate) fn speed_test_error(code: i32, way: u32) -> Event {
    event("onNetworkSpeedTestError", json!({"errorCode": code, "type": way}))
}

pub(crate) fn network_time_synchronized() -> Event {
    event("onNetworkTimeSynchronized", json!({}))
}

/// `device_type` is a `ZegoAudioDeviceType`, `volume` in percent.
pub(crate) fn audio_device_volume(device_type: u32, device_id: &str, volume: u32) -> Event {
    let payload = json!({"deviceType": device_type, "deviceID": device_id, "volume": volume});
    event("onAudioDeviceVolumeChanged", payload)
}

/// `source` is a `ZegoAudioVADStableStateMonitorType`, `state` a `ZegoAudioVADType`.
pub(crate) fn audio_vad_state(source: u32, state: i32) -> Event {
    event("onAudioVADStateUpdate", json!({"type": source, "state": state}))
}

/// Both events of an exception of a screen capture source, under the names that they have on the engine; `index` says
/// which source. `exception` is a `ZegoScreenCaptureSourceExceptionType`, `kind` a `ZegoScreenCaptureSourceType`.
pub(crate) fn screen_exception(index: u32, kind: u32, exception: i32) -> [Event; 2] {
    let typed = json!({"sourceType": kind, "exceptionType": exception, "index": index});
    [
        event("SCREENCAPTURE_onExceptionOccurred", json!({"exceptionType": exception, "index": index})),
        event("SCREENCAPTURE_onCaptureTypeExceptionOccurred", typed),
    ]
}

/// `state` is a `ZegoScreenCaptureWindowState`.
pub(crate) fn screen_window_state(index: u32, state: i32, place: &Area) -> Event {
    let payload = json!({"windowState": state, "windowRect": rect(place), "index": index});
    event("SCREENCAPTURE_onWindowStateChanged", payload)
}

pub(crate) fn screen_rect(index: u32, place: &Area) -> Event {
    event("SCREENCAPTURE_onRectChanged", json!({"captureRect": rect(place), "index": index}))
}

/// `ZegoRect`.
fn rect(area: &Area) -> Value {
    json!({"x": area.x, "y": area.y, "width": area.width, "height": area.height})
}

pub(crate) fn captured_audio_first_frame() -> Event {
    event("onPublisherCapturedAudioFirstFrame", json!({}))
}

pub(crate) fn publisher_video_size(width: u32, height: u32, channel: u32) -> Event {
    event("onPublisherVideoSizeChanged", json!({"width": width, "height": height, "channel": channel}))
}

pub(crate) fn player_media_event(stream_id: &str, kind: MediaEvent) -> Event {
    event("onPlayerMediaEvent", json!({"streamID": stream_id, "event": kind as i32}))
}

pub(crate) fn player_video_size(stream_id: &str, width: u32, height: u32) -> Event {
    event("onPlayerVideoSizeChanged", json!({"streamID": stream_id, "width": width, "height": height}))
}

pub(crate) fn remote_device_state(name: &'static str, stream_id: &str, state: i32) -> Event {
    event(name, json!({"streamID": stream_id, "state": state}))
}

pub(crate) fn quality(name: &'static str, stream_id: &str, quality: &impl serde::Serialize) -> Event {
    event(name, json!({"streamID": stream_id, "quality": quality}))
}

pub(crate) fn network_quality(user_id: &str, upstream: i32, downstream: i32) -> Event {
    let payload = json!({"userID": user_id, "upstreamQuality": upstream, "downstreamQuality": downstream});
    event("onNetworkQuality", payload)
}

pub(crate) fn broadcast_message(room_id: &str, message: &str, id: u64, send_time_ms: u64, from: &User) -> Event {
    let item = json!({"message": message, "messageID": id, "sendTime": send_time_ms, "fromUser": from});
    event("onIMRecvBroadcastMessage", json!({"roomID": room_id, "messageList": [item]}))
}

pub(crate) fn custom_command(room_id: &str, from: &User, command: &str) -> Event {
    event("onIMRecvCustomCommand", json!({"roomID": room_id, "fromUser": from, "command": command}))
}

/// `onDebugError`. The documents call the text `info` in one place and `errorInfo` in another: both are there.
pub(crate) fn debug_error(code: i32, function: &str, info: &str) -> Event {
    event("onDebugError", json!({"errorCode": code, "funcName": function, "info": info, "errorInfo": info}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_state_is_emitted_under_both_names() {
        let events = room_state("r", RoomReason::Logined, 0, NO_EXTENDED_DATA);
        assert_eq!(events[0].name, "onRoomStateChanged");
        assert_eq!(events[0].payload["reason"], 1);
        assert_eq!(events[1].name, "onRoomStateUpdate");
        assert_eq!(events[1].payload["state"], 2);
    }

    #[test]
    fn a_refused_logout_leaves_the_room_state_alone() {
        let events = room_state("other", RoomReason::LogoutFailed, 1_002_002, NO_EXTENDED_DATA);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].payload["errorCode"], 1_002_002);
    }
}
