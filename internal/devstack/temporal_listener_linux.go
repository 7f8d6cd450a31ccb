package devstack

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// tcpListening is the state of a listening socket in /proc/net/tcp.
const tcpListening = "0A"

// listensAt tells whether the listener at an IPv4 address is the process's own. It
// answers yes where it cannot know: for other addresses, and where /proc is
// closed to us; then the child's own failure to listen is what tells.
func listensAt(pid int, address string) bool {
	addr, err := netip.ParseAddrPort(address)
	if err != nil || !addr.Addr().Is4() {
		return true
	}
	inodes, err := listeningInodes(addr)
	if err != nil || len(inodes) == 0 {
		return true
	}
	descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(descriptors) == 0 {
		return true
	}
	for _, descriptor := range descriptors {
		if target, err := os.Readlink(descriptor); err == nil && inodes[target] {
			return true
		}
	}
	return false
}

// listeningInodes returns the sockets that listen at addr, in the form a file
// descriptor of /proc links to. The kernel writes an address as the hexadecimal
// of its four bytes in the machine's order.
func listeningInodes(addr netip.AddrPort) (map[string]bool, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return nil, err
	}
	ip := addr.Addr().As4()
	var word [4]byte
	binary.BigEndian.PutUint32(word[:], binary.NativeEndian.Uint32(ip[:]))
	local := fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(word[:])), addr.Port())
	inodes := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 9 && fields[1] == local && fields[3] == tcpListening {
			inodes["socket:["+fields[9]+"]"] = true
		}
	}
	return inodes, nil
}
