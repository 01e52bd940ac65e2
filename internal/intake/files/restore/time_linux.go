package restore

import "golang.org/x/sys/unix"

// setLinkTime gives a symbolic link itself its time.
func setLinkTime(path string, ns int64) error {
	t := unix.NsecToTimespec(ns)
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
}
