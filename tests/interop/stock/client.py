"""PyPI's `livekit` as one of the stock clients: one JSON object a line comes in, one goes out.

What it can do is what all of them can: see `scenario.mjs`.
"""

import array
import asyncio
import json
import math
import os
import sys

from livekit import api, rtc


class Client:
    def __init__(self):
        self.room = rtc.Room()
        self.views = {}
        self.publications = {}
        self.tasks = set()
        self.seen = {"audioFrames": 0, "data": [], "disconnected": None, "resumed": 0}

    def start(self, work):
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def connect(self, url, token, singlePeerConnection):
        @self.room.on("track_subscribed")
        def _(track, publication, _participant):
            is_video = track.kind == rtc.TrackKind.KIND_VIDEO
            self.start(self.watch(track, publication.name) if is_video else self.listen(track))

        @self.room.on("data_received")
        def _(packet):
            sender = packet.participant.identity if packet.participant else None
            self.seen["data"].append({"text": packet.data.decode(), "from": sender, "topic": packet.topic})

        @self.room.on("disconnected")
        def _(reason):
            self.seen["disconnected"] = int(reason)

        @self.room.on("reconnected")
        def _():
            self.seen["resumed"] += 1

        options = rtc.RoomOptions(dynacast=True, single_peer_connection=singlePeerConnection)
        await self.room.connect(url, token, options)

    async def watch(self, track, name):
        view = self.views[name] = {"frames": 0, "width": 0, "longestGapMs": 0}
        last = None
        async for event in rtc.VideoStream(track):
            at = event.timestamp_us / 1000
            view["frames"] += 1
            view["width"] = event.frame.width
            if last is not None:
                view["longestGapMs"] = max(view["longestGapMs"], at - last)
            last = at

    async def listen(self, track):
        async for _ in rtc.AudioStream(track):
            self.seen["audioFrames"] += 1

    async def publishVideo(self, name, simulcast=False):
        width, height = (960, 540) if simulcast else (320, 180)
        source = rtc.VideoSource(width, height)
        track = rtc.LocalVideoTrack.create_video_track(name, source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=simulcast)
        self.publications[name] = await self.room.local_participant.publish_track(track, options)
        self.start(self.paint(source, width, height))

    async def paint(self, source, width, height):
        shade = 0
        while True:
            shade = (shade + 3) % 255
            pixels = bytes([shade]) * (width * height * 4)
            source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, pixels))
            await asyncio.sleep(0.05)

    async def publishAudio(self, name):
        source = rtc.AudioSource(48_000, 1)
        track = rtc.LocalAudioTrack.create_audio_track(name, source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        self.publications[name] = await self.room.local_participant.publish_track(track, options)
        self.start(self.hum(source))

    async def hum(self, source):
        wave = array.array("h", (round(8000 * math.sin(2 * math.pi * 400 * n / 48_000)) for n in range(480)))
        while True:
            await source.capture_frame(rtc.AudioFrame(wave.tobytes(), 48_000, 1, 480))

    async def send(self, text):
        await self.room.local_participant.publish_data(text, reliable=True, topic="t")

    async def mute(self, name, muted):
        track = self.publications[name].track
        track.mute() if muted else track.unmute()

    async def setAttributes(self, **attributes):
        await self.room.local_participant.set_attributes(attributes)

    async def resize(self, name, isSmall):
        quality = rtc.VideoQuality.VIDEO_QUALITY_LOW if isSmall else rtc.VideoQuality.VIDEO_QUALITY_HIGH
        for participant in self.room.remote_participants.values():
            for publication in participant.track_publications.values():
                if publication.name == name:
                    publication.set_video_quality(quality)

    async def measure(self):
        for view in self.views.values():
            view["longestGapMs"] = 0

    async def report(self):
        others = {}
        for identity, participant in self.room.remote_participants.items():
            tracks = {p.name: {"muted": p.muted} for p in participant.track_publications.values()}
            others[identity] = {"attributes": dict(participant.attributes), "tracks": tracks}
        sid = self.room.local_participant.sid
        return {**self.seen, "views": self.views, "others": others, "sid": sid}

    async def administer(self, url, key, secret, room, identity):
        """What `livekit-api` gets from the server, call by call."""
        async with api.LiveKitAPI(url, key, secret) as server:
            rooms = server.room
            created = await rooms.create_room(api.CreateRoomRequest(name="from-python", max_participants=3))
            listed = await rooms.list_rooms(api.ListRoomsRequest(names=["from-python"]))
            await rooms.delete_room(api.DeleteRoomRequest(room="from-python"))
            left = await rooms.list_rooms(api.ListRoomsRequest(names=["from-python"]))
            people = await rooms.list_participants(api.ListParticipantsRequest(room=room))
            whom = {"room": room, "identity": identity}
            person = await rooms.get_participant(api.RoomParticipantIdentity(**whom))
            muted = await rooms.mute_published_track(
                api.MuteRoomTrackRequest(track_sid=person.tracks[0].sid, muted=True, **whom)
            )
            await rooms.update_participant(api.UpdateParticipantRequest(metadata="by python", **whom))
            metadata = (await rooms.get_participant(api.RoomParticipantIdentity(**whom))).metadata
            described = await rooms.update_room_metadata(api.UpdateRoomMetadataRequest(room=room, metadata="room"))
            await rooms.send_data(api.SendDataRequest(room=room, data=b"from above", topic="t"))
            await rooms.remove_participant(api.RoomParticipantIdentity(**whom))
            return {
                "created": [created.name, created.max_participants],
                "listed": [item.name for item in listed.rooms],
                "left": [item.name for item in left.rooms],
                "people": sorted(item.identity for item in people.participants),
                "muted": muted.track.muted,
                "metadata": [metadata, described.metadata],
            }


async def answer(client, line):
    call = json.loads(line)
    reply = {"id": call["id"]}
    try:
        reply["result"] = await getattr(client, call["method"])(**call["argument"])
    except Exception as error:
        reply["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(reply), flush=True)


async def main():
    client = Client()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        client.start(answer(client, line))
    await client.room.disconnect()
    # The library's own threads do not survive the end of the interpreter.
    os._exit(0)


asyncio.run(main())
