//! Whether events look as the vendor's description says: its fields, all of them, in its order, and ours behind.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use engine::Event;
use serde_json::Value;

/// Fields of ours, beside the documented ones, by event.
const OWN_FIELDS: [(&str, &str); 2] = [("onDebugError", "errorInfo"), ("SCREENCAPTURE_", "index")];
/// Events of ours.
const OWN_EVENTS: [&str; 1] = ["onNetworkTimeSynchronized"];
/// Fields that are a table by stream.
const TABLES: [&str; 3] = ["Object", "object", "Map<String, ZegoSoundLevelInfo>"];

/// Names and types, in order.
type Fields = Vec<(String, String)>;

struct Surface {
    events: BTreeMap<String, Fields>,
    structs: BTreeMap<String, Fields>,
}

fn surface() -> &'static Surface {
    static SURFACE: OnceLock<Surface> = OnceLock::new();
    SURFACE.get_or_init(|| {
        let text = include_str!("../../../../js/surface/surface.json");
        let surface: Value = serde_json::from_str(text).unwrap();
        let mut events = table(&surface["events"], "params", "");
        for class in surface["classes"].as_array().unwrap() {
            events.extend(table(&class["events"], "params", class["prefix"].as_str().unwrap()));
        }
        Surface { events, structs: table(&surface["structs"], "fields", "") }
    })
}

fn table(entries: &Value, fields: &str, prefix: &str) -> BTreeMap<String, Fields> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = entries.as_array().unwrap().iter().map(|entry| {
        let fields = entry[fields].as_array().unwrap().iter();
        (format!("{prefix}{}", text(&entry["name"])), fields.map(|it| (text(&it["name"]), text(&it["type"]))).collect())
    });
    entries.collect()
}

/// What is wrong with an event, if anything.
pub fn fault(event: &Event) -> Option<String> {
    if OWN_EVENTS.contains(&event.name) {
        return None;
    }
    let Some(fields) = surface().events.get(event.name) else { return Some(format!("{} is no event", event.name)) };
    let own = OWN_FIELDS.iter().filter(|(name, _)| event.name.starts_with(name)).map(|(_, field)| *field);
    fault_of(event.name, &event.payload, fields, own.collect())
}

fn fault_of(place: &str, object: &Value, fields: &Fields, own: Vec<&str>) -> Option<String> {
    let expected: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).chain(own).collect();
    let found: Vec<&String> = object.as_object()?.keys().collect();
    if found != expected {
        return Some(format!("{place} has {found:?}, documented are {expected:?}"));
    }
    fields.iter().find_map(|(name, kind)| {
        let (place, value) = (format!("{place}.{name}"), &object[name]);
        if TABLES.contains(&kind.as_str()) {
            return (!value.is_object()).then(|| format!("{place} is no table"));
        }
        let fields = surface().structs.get(kind.trim_end_matches("[]"))?;
        let items = if kind.ends_with("[]") { value.as_array()?.iter().collect() } else { vec![value] };
        items.into_iter().find_map(|item| fault_of(&place, item, fields, Vec::new()))
    })
}

#[test]
fn an_event_that_is_not_as_documented_is_noticed() {
    let event = |payload: Value| Event { name: "onRoomStreamUpdate", payload };
    let stream = serde_json::json!({"user": {"userID": "u", "userName": "U"}, "streamID": "s", "extraInfo": ""});
    let good = serde_json::json!({"roomID": "r", "updateType": 0, "streamList": [stream], "extendedData": "{}"});
    assert_eq!(fault(&event(good.clone())), None);
    let mut deep = good.clone();
    deep["streamList"][0]["user"] = serde_json::json!({"userName": "U", "userID": "u"});
    assert!(fault(&event(deep)).unwrap().contains("streamList.user"));
    let mut less = good;
    less.as_object_mut().unwrap().shift_remove("extendedData");
    assert!(fault(&event(less)).is_some());
    assert!(fault(&Event { name: "onNoSuch", payload: Value::Null }).is_some());
}
