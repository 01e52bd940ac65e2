package file

import "io/fs"

// Faults breaks the calls of a store to its file system. A nil field leaves
// the call as it is.
type Faults struct {
	CreateTemp func() error
	Write      func(written int64) error
	Sync       func() error
	Mkdir      func(path string) error
	Link       func(from, to string) error
	Rename     func(from, to string) error
	SyncDir    func(path string) error
}

// OpenWith opens a store on a file system with faults.
func OpenWith(dir string, f *Faults) (*Store, error) {
	real := osOperations()
	return open(dir, operations{
		createTemp: func(dir, pattern string) (temporary, error) {
			if f.CreateTemp != nil {
				if err := f.CreateTemp(); err != nil {
					return nil, err
				}
			}
			file, err := real.createTemp(dir, pattern)
			if err != nil {
				return nil, err
			}
			return &faulty{temporary: file, faults: f}, nil
		},
		mkdir: func(path string, mode fs.FileMode) error {
			if f.Mkdir != nil {
				if err := f.Mkdir(path); err != nil {
					return err
				}
			}
			return real.mkdir(path, mode)
		},
		link: func(from, to string) error {
			if f.Link != nil {
				if err := f.Link(from, to); err != nil {
					return err
				}
			}
			return real.link(from, to)
		},
		rename: func(from, to string) error {
			if f.Rename != nil {
				if err := f.Rename(from, to); err != nil {
					return err
				}
			}
			return real.rename(from, to)
		},
		syncDir: func(path string) error {
			if f.SyncDir != nil {
				if err := f.SyncDir(path); err != nil {
					return err
				}
			}
			return real.syncDir(path)
		},
	})
}

type faulty struct {
	temporary
	faults  *Faults
	written int64
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.faults.Write != nil {
		if err := f.faults.Write(f.written); err != nil {
			n, _ := f.temporary.Write(p[:len(p)/2]) // disks fill in the middle of a write
			return n, err
		}
	}
	n, err := f.temporary.Write(p)
	f.written += int64(n)
	return n, err
}

func (f *faulty) Sync() error {
	if f.faults.Sync != nil {
		if err := f.faults.Sync(); err != nil {
			return err
		}
	}
	return f.temporary.Sync()
}
