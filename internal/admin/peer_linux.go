package admin

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerUID asks the system which user opened the other end (unix(7), SO_PEERCRED):
// unlike a name in a header, the caller cannot choose it. false: the system does
// not say.
func peerUID(c net.Conn) (int, bool) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, false
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil || err != nil {
		return 0, false
	}
	return int(cred.Uid), true
}
