package api

import (
	"context"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// A credential is who is at the other end of a connection, as the kernel says (SO_PEERCRED, CTL-02).
type credential struct {
	uid, gid uint32
	allowed  bool
}

type callerKey struct{}

// withCaller notes the credentials of a new connection. A connection of which the kernel says nothing has none.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	if l, ok := c.(*limitedConn); ok {
		c = l.Conn
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *unix.Ucred
	var group int = -1
	if raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil || err != nil {
		return ctx
	}
	var st unix.Stat_t
	if unix.Lstat(u.LocalAddr().String(), &st) == nil {
		group = int(st.Gid)
	}
	who := credential{uid: cred.Uid, gid: cred.Gid}
	who.allowed = mayTalk(who, os.Geteuid(), group, groupsOf)
	return context.WithValue(ctx, callerKey{}, who)
}

func caller(ctx context.Context) (credential, bool) {
	who, ok := ctx.Value(callerKey{}).(credential)
	return who, ok
}

// mayTalk reports whether who is root, the daemon's own user, or in the group of the socket (-1: it has none).
func mayTalk(who credential, self, group int, groups func(uid uint32) []string) bool {
	switch {
	case who.uid == 0 || int(who.uid) == self:
		return true
	case group < 0:
		return false
	case int(who.gid) == group:
		return true
	}
	return slices.Contains(groups(who.uid), strconv.Itoa(group))
}

// groupsOf returns the ids of the groups that the system's files list uid in.
func groupsOf(uid uint32) []string {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return nil
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil
	}
	return ids
}
