//go:build !linux

package admin

import "net"

// peerUID cannot say who is at the other end here: the folder's mode alone does.
func peerUID(net.Conn) (int, bool) { return 0, false }
