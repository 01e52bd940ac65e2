package files

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"holdfast/internal/escrow"
)

// scanned is one thing that was found on the disk.
type scanned struct {
	entry *Entry
	root  *root
	read  bool // its content has to be read
	wary  bool // it changed a moment ago, so its stamp proves nothing yet
	many  bool // the file has other names too
}

// root is a directory that is deposited, and the name it is deposited under.
type root struct{ name, dir string }

// file is where it is. The path says it already, and there may be millions.
func (s *scanned) file() string { return s.root.dir + s.entry.Path[len(s.root.name):] }

// scan is everything that was found, in ascending order of path.
type scan struct {
	found   []*scanned
	leftOut []string // what is not deposited and why, for the depositor's eyes
	unread  int      // of these, what could not be read
	outside int      // symbolic links that lead out
}

// settle is how long a file must have been left alone for its stamp to prove
// that it is unchanged: clocks of file systems tick coarsely.
const settle = 2 * time.Second

// walk finds what is to be deposited. Every root is deposited under its own
// last name.
func walk(ctx context.Context, o *Options) (*scan, error) {
	include, err := parsePatterns(o.Include)
	if err != nil {
		return nil, err
	}
	exclude, err := parsePatterns(o.Exclude)
	if err != nil {
		return nil, err
	}
	w := &walker{ctx: ctx, include: include, exclude: exclude, now: o.Now(), scan: &scan{}}
	names := map[string]string{}
	for _, given := range o.Roots {
		abs, err := filepath.Abs(given)
		if err != nil {
			return nil, escrow.Wrap(err, escrow.Invalid, "%s", given)
		}
		name := filepath.Base(abs)
		if err := CheckPath(name); err != nil {
			return nil, escrow.Errorf(escrow.Invalid, "%s cannot be deposited under the name %q", abs, name).WithHint("name a directory below it")
		}
		if other, ok := names[name]; ok {
			return nil, escrow.Errorf(escrow.Invalid, "%s and %s would both be deposited as %q", other, abs, name).WithHint("deposit their common directory with --include, or make two modules")
		}
		names[name] = abs
		if info, err := os.Stat(abs); err != nil || !info.IsDir() {
			return nil, escrow.Errorf(escrow.Invalid, "%s is not a directory", abs)
		}
		// A root that is a link is followed: it was named.
		if abs, err = filepath.EvalSymlinks(abs); err != nil {
			return nil, escrow.Wrap(err, escrow.Invalid, "%s", given)
		}
		info, err := os.Lstat(abs)
		if err != nil {
			return nil, escrow.Wrap(err, escrow.Invalid, "%s", given)
		}
		w.root = &root{name, abs}
		w.add(name, abs, info)
		if err := w.dir(name, abs, ""); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(w.scan.found, func(a, b *scanned) int { return strings.Compare(a.entry.Path, b.entry.Path) })
	w.scan.linkNames()
	return w.scan, nil
}

type walker struct {
	ctx              context.Context
	include, exclude []pattern
	now              time.Time
	scan             *scan
	root             *root // that is walked
}

func (w *walker) leave(abs, why string) {
	w.scan.leftOut = append(w.scan.leftOut, abs+": "+why)
}

func (w *walker) dir(name, abs, below string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	list, err := os.ReadDir(abs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.leave(abs, reason(err))
		w.scan.unread++
	}
	for _, d := range list {
		path, file, sub := name+"/"+d.Name(), abs+"/"+d.Name(), d.Name()
		if below != "" {
			sub = below + "/" + d.Name()
		}
		if match(w.exclude, sub, d.IsDir()) || len(w.include) > 0 && !d.IsDir() && !match(w.include, sub, false) {
			continue
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = CheckPath(path)
		}
		if err != nil {
			w.leave(file, reason(err))
			w.scan.unread++
			continue
		}
		w.add(path, file, info)
		if d.IsDir() {
			if err := w.dir(path, file, sub); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walker) add(path, file string, info fs.FileInfo) {
	e := &Entry{Path: path, Mode: uint32(info.Mode().Perm()), Time: info.ModTime().UnixNano()}
	s := &scanned{entry: e, root: w.root}
	switch info.Mode().Type() {
	case 0:
		e.Kind, e.Size = File, info.Size()
		e.Stamp, s.many = stampOf(info)
		s.wary = w.now.Sub(info.ModTime()) < settle || w.now.UnixNano()-e.Stamp.Change < int64(settle)
	case fs.ModeDir:
		e.Kind = Dir
	case fs.ModeSymlink:
		target, err := os.Readlink(file)
		if err != nil || target == "" || len(target) > MaxPath {
			w.leave(file, "its target cannot be read")
			w.scan.unread++
			return
		}
		e.Kind, e.Target, e.Mode = Symlink, target, 0o777
		if LeadsOut(path, target) {
			w.scan.outside++
		}
	default:
		w.leave(file, "neither a file, a directory nor a symbolic link")
		return
	}
	w.scan.found = append(w.scan.found, s)
}

// linkNames makes hard links of all but the first name of a file.
func (s *scan) linkNames() {
	type inode struct{ device, number uint64 }
	first := map[inode]string{}
	for _, f := range s.found {
		if f.entry.Kind != File || !f.many {
			continue
		}
		at := inode{f.entry.Stamp.Device, f.entry.Stamp.Inode}
		if name, ok := first[at]; ok {
			*f.entry = Entry{Path: f.entry.Path, Kind: Hardlink, Mode: f.entry.Mode, Time: f.entry.Time, Target: name}
			continue
		}
		first[at] = f.entry.Path
	}
}

func stampOf(info fs.FileInfo) (stamp Stamp, many bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Stamp{}, false
	}
	return Stamp{Device: uint64(st.Dev), Inode: st.Ino, Change: st.Ctim.Nano()}, st.Nlink > 1
}

// reason is an error without the path, which is said before it.
func reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

func sortEntries(list []*Entry) {
	slices.SortFunc(list, func(a, b *Entry) int { return strings.Compare(a.Path, b.Path) })
}
