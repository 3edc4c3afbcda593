package main

import (
	"strings"
	"testing"
)

// A start on a full disk waits, says so, and serves once there is room; it can be stopped
// while it waits. Nothing of the installation is touched.
func TestStartOnAFullDiskWaits(t *testing.T) {
	t.Parallel()
	const waits = "the disk is full: the start waits for room"
	// After a kill the room of the run before is there still, for the log and its index: it may
	// be enough to serve at once.
	for end, says := range map[string]string{"SIGTERM": waits, "kill -9": waits + `\|"msg":"serving"`} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			out := docMachine(t, "sh", `
says() { for i in $(seq 100); do grep -q "$1" log && return; sleep 0.2; done; cat log >&2; exit 1; }
mkdir /srv/disk
mount -t tmpfs -o size=8m,mode=700 tmpfs /srv/disk
coffer init --data /srv/disk/coffer --suffix vault.example.net --vault main
ln -s /srv/disk/coffer /var/lib/coffer
systemctl start coffer
coffer identity create before --config /var/lib/coffer/coffer.yaml
systemctl stop coffer
cat /dev/zero >/srv/disk/ballast 2>/dev/null || true
coffer serve --config /var/lib/coffer/coffer.yaml 2>log &
says '`+says+`'
kill $!
wait $!
coffer serve --config /var/lib/coffer/coffer.yaml 2>log &
says '`+says+`'
rm /srv/disk/ballast
says '"msg":"serving"'
coffer identity list --config /var/lib/coffer/coffer.yaml
coffer audit verify --config /var/lib/coffer/coffer.yaml
`, end == "kill -9")
			if !strings.Contains(out, "before") || !strings.Contains(out, "Each line is the one that was written after the one before.") {
				t.Errorf("afterwards: %s", out)
			}
		})
	}
}
