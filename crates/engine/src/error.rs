//! Errors with the vendor's documented codes.

/// An error as the application sees it: the documented code and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct EngineError {
    /// One of the exported error codes.
    pub code: i32,
    /// What went wrong, in words.
    pub message: String,
}

impl EngineError {
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn destroyed() -> Self {
        Self::new(code::ENGINE_NOT_CREATED, "the engine has been destroyed")
    }
}

/// The error codes of this crate, named as in the exported table of error codes.
pub mod code {
    #![allow(missing_docs)]
    pub const SUCCESS: i32 = 0;
    pub const ENGINE_NOT_CREATED: i32 = 1_000_001;
    pub const NOT_LOGIN_ROOM: i32 = 1_000_002;
    pub const STREAM_ID_TOO_LONG: i32 = 1_000_014;
    pub const STREAM_ID_NULL: i32 = 1_000_015;
    pub const STREAM_ID_INVALID_CHARACTER: i32 = 1_000_016;
    pub const ILLEGAL_PARAM: i32 = 1_000_017;
    pub const CONFIG_AFTER_ROOM_LOGGED_IN: i32 = 1_000_067;
    pub const APPID_ZERO: i32 = 1_001_000;
    pub const APPID_INCORRECT: i32 = 1_001_004;
    pub const APPSIGN_INCORRECT: i32 = 1_001_005;
    pub const EXPERIMENTAL_JSON_INVALID: i32 = 1_001_091;
    pub const ROOM_COUNT_EXCEED: i32 = 1_002_001;
    pub const ROOM_ID_INCORRECT: i32 = 1_002_002;
    pub const USER_ID_NULL: i32 = 1_002_005;
    pub const USER_ID_INVALID_CHARACTER: i32 = 1_002_006;
    pub const USER_ID_TOO_LONG: i32 = 1_002_007;
    pub const USER_NAME_NULL: i32 = 1_002_008;
    pub const USER_NAME_INVALID_CHARACTER: i32 = 1_002_009;
    pub const USER_NAME_TOO_LONG: i32 = 1_002_010;
    pub const ROOM_ID_NULL: i32 = 1_002_011;
    pub const ROOM_ID_INVALID_CHARACTER: i32 = 1_002_012;
    pub const ROOM_ID_TOO_LONG: i32 = 1_002_013;
    pub const ROOM_EXTRA_INFO_KEY_EMPTY: i32 = 1_002_014;
    pub const ROOM_EXTRA_INFO_KEY_TOO_LONG: i32 = 1_002_015;
    pub const ROOM_EXTRA_INFO_VALUE_TOO_LONG: i32 = 1_002_016;
    pub const ROOM_EXTRA_INFO_EXCEED_KEYS: i32 = 1_002_017;
    pub const ROOM_MULTI_ROOM_USER_NOT_SAME: i32 = 1_002_018;
    pub const ROOM_MULTI_ROOM_SWITCH_INVALID: i32 = 1_002_019;
    pub const ROOM_CONNECT_FAILED: i32 = 1_002_030;
    pub const ROOM_LOGIN_TIMEOUT: i32 = 1_002_031;
    pub const ROOM_AUTHENTICATION_FAILED: i32 = 1_002_033;
    pub const ROOM_EXCEED_MAXIMUM_MEMBER: i32 = 1_002_034;
    pub const ROOM_MULTI_ROOM_COUNT_EXCEED: i32 = 1_002_037;
    pub const ROOM_KICKED_OUT: i32 = 1_002_050;
    pub const ROOM_TEMPORARY_BROKEN: i32 = 1_002_051;
    pub const ROOM_RETRY_TIMEOUT: i32 = 1_002_053;
    pub const ROOM_MANUAL_KICKED_OUT: i32 = 1_002_055;
    pub const ROOM_TOKEN_EXPIRED_KICKED_OUT: i32 = 1_002_056;
    pub const ROOM_ID_HAS_BEEN_USED: i32 = 1_002_064;
    pub const ROOM_NO_TOKEN: i32 = 1_002_067;
    pub const ROOM_TOKEN_FORMAT: i32 = 1_002_075;
    pub const ROOM_TOKEN_APP_ID: i32 = 1_002_076;
    pub const ROOM_TOKEN_USER_ID: i32 = 1_002_077;
    pub const ROOM_TOKEN_EXPIRED: i32 = 1_002_078;
    pub const ROOM_TOKEN_VERSION: i32 = 1_002_079;
    /// A room's extra info could not be set; the vendor has no code of its own for it.
    pub const ROOM_EXTRA_INFO_FAILED: i32 = ROOM_INNER_ERROR;
    pub const ROOM_LOGIN_OTHER: i32 = 1_002_086;
    pub const ROOM_INNER_ERROR: i32 = 1_002_099;
    pub const PUBLISHER_BITRATE_INVALID: i32 = 1_003_002;
    pub const PUBLISHER_TRAFFIC_MODE_INVALID: i32 = 1_003_005;
    pub const PUBLISHER_NETWORK_INTERRUPT: i32 = 1_003_020;
    pub const PUBLISHER_RETRY_TIMEOUT: i32 = 1_003_021;
    pub const PUBLISHER_ALREADY_DO_PUBLISH: i32 = 1_003_023;
    pub const PUBLISHER_SERVER_FORBID: i32 = 1_003_025;
    pub const PUBLISHER_REPETITIVE_STREAM: i32 = 1_003_028;
    pub const PUBLISHER_SNAPSHOT_FAILED: i32 = 1_003_030;
    pub const PUBLISHER_SEI_NULL: i32 = 1_003_043;
    pub const PUBLISHER_SEI_TOO_LONG: i32 = 1_003_044;
    pub const PUBLISHER_EXTRA_INFO_TOO_LONG: i32 = 1_003_051;
    pub const PUBLISHER_UPDATE_EXTRA_INFO_FAILED: i32 = 1_003_053;
    pub const PUBLISHER_NO_CONFIG_IN_MULTI_ROOM: i32 = 1_003_070;
    pub const PUBLISHER_NO_ROOM_ID_IN_MULTI_ROOM: i32 = 1_003_071;
    pub const PUBLISHER_AUTH_FAILED: i32 = 1_003_072;
    pub const PUBLISHER_VIDEO_ENCODER_FAIL: i32 = 1_003_081;
    pub const PUBLISHER_INNER_ERROR: i32 = 1_003_099;
    pub const PLAYER_FAILED: i32 = 1_004_001;
    pub const PLAYER_COUNT_EXCEED: i32 = 1_004_010;
    pub const PLAYER_NETWORK_INTERRUPT: i32 = 1_004_020;
    /// As [`PUBLISHER_RETRY_TIMEOUT`]; the vendor's table has none for players.
    pub const PLAYER_RETRY_TIMEOUT: i32 = 1_004_021;
    pub const PLAYER_STREAM_WAS_NOT_PLAYED: i32 = 1_004_011;
    pub const PLAYER_CROSS_ROOM: i32 = 1_004_012;
    pub const PLAYER_SNAPSHOT_FAILED: i32 = 1_004_030;
    pub const PLAYER_DECRYPTION_FAILED: i32 = 1_004_061;
    pub const PLAYER_NO_CONFIG_IN_MULTI_ROOM: i32 = 1_004_070;
    pub const PLAYER_NO_ROOM_ID_IN_MULTI_ROOM: i32 = 1_004_071;
    pub const PLAYER_VIDEO_DECODER_NOT_SUPPORTED: i32 = 1_004_080;
    pub const PLAYER_VIDEO_DECODER_FAIL: i32 = 1_004_081;
    pub const DEVICE_ERROR: i32 = 1_006_001;
    pub const DEVICE_INVALID_ID: i32 = 1_006_002;
    pub const IM_CONTENT_NULL: i32 = 1_009_001;
    pub const IM_CONTENT_TOO_LONG: i32 = 1_009_002;
    pub const IM_INCONSISTENT_ROOM_ID: i32 = 1_009_005;
    pub const IM_SEND_FAILED: i32 = 1_009_010;
    pub const IM_BROADCAST_OVERLOAD: i32 = 1_009_015;
    pub const SPEED_TEST_CONNECT_FAILED: i32 = 1_015_002;
    pub const SPEED_TEST_TIMEOUT: i32 = 1_015_003;
    pub const SPEED_TEST_ENDED: i32 = 1_015_004;
    pub const SPEED_TEST_STOPPED_BY_PUBLISHING: i32 = 1_015_005;
    pub const SPEED_TEST_STOPPED_BY_PLAYING: i32 = 1_015_006;
    pub const SPEED_TEST_STOPPED_BY_LOGIN: i32 = 1_015_032;
    pub const SCREEN_CAPTURE_NOT_SUPPORT: i32 = 1_020_001;
    pub const SCREEN_CAPTURE_NO_INSTANCE: i32 = 1_020_003;
    pub const SCREEN_CAPTURE_EXCEED_MAX_COUNT: i32 = 1_020_004;
    pub const SCREEN_CAPTURE_INNER_ERROR: i32 = 1_020_005;
}
