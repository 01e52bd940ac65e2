package file

import "golang.org/x/sys/unix"

// startWriting lets the kernel begin to write a range of a file. It promises
// nothing and waits for nothing; what goes wrong is the sync's to tell.
func startWriting(fd uintptr, off, n int64) {
	_ = unix.SyncFileRange(int(fd), off, n, unix.SYNC_FILE_RANGE_WRITE)
}
