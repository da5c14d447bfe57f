// A participant by LiveKit's Go SDK that only waits: URL, token, how long, and "single" for one peer connection.
// Prints what becomes of its connection, a word a line.
package main

import (
	"fmt"
	"os"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
)

func main() {
	say := func(word string) func() { return func() { fmt.Println(word) } }
	callback := &lksdk.RoomCallback{
		OnReconnecting: say("reconnecting"),
		OnReconnected:  say("reconnected"),
		OnDisconnected: say("disconnected"),
	}
	callback.OnTrackSubscribed = func(track *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
		fmt.Println(track.Codec().MimeType)
	}
	url, token, options := os.Args[1], os.Args[2], []lksdk.ConnectOption{}
	stay, err := time.ParseDuration(os.Args[3])
	if len(os.Args) > 4 {
		options = append(options, lksdk.WithSinglePeerConnection())
	}
	if err == nil {
		var room *lksdk.Room
		if room, err = lksdk.ConnectToRoomWithToken(url, token, callback, options...); err == nil {
			fmt.Println("connected")
			time.Sleep(stay)
			room.Disconnect()
			fmt.Println("left")
			return
		}
	}
	fmt.Println("failed:", err)
	os.Exit(1)
}
