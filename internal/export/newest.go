package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gateway/internal/failure"
)

// PassedOver is a folder that was not read, and why.
type PassedOver struct {
	Export string `json:"export"`
	Reason string `json:"reason"`
}

// Bounds of Newest: of what it lists, and of the folders that it looks into.
const (
	maxPassedOver = 20
	maxLookedInto = 10 * maxFolders
)

// Newest finds the newest complete export at or below root: the one with the latest
// time in its name or in that of a folder above it, or else in its manifest's
// modification time. An export is complete if its manifests can be read and all files
// that they name are there. passed are the newer folders that hold no complete export,
// twenty at most. If no export is complete, the error is of kind NotFound and lists
// them.
func Newest(ctx context.Context, fsys fs.FS, root string) (found string, passed []PassedOver, err error) {
	more := 0
	for todo, seen := []place{{name: path.Clean(root)}}, 0; len(todo) > 0; {
		if err := ctx.Err(); err != nil {
			return "", passed, err
		}
		next := todo[0]
		todo = todo[1:]
		if next.export == nil {
			if seen++; seen > maxLookedInto {
				return "", passed, failure.Errorf(failure.Invalid, "%s has more than %d folders; name a folder within", root, maxLookedInto)
			}
			below, err := next.look(fsys)
			if err != nil {
				return "", passed, err
			}
			todo = append(todo, below...)
			// Folders of unknown times come first, for they have to be looked into.
			slices.SortStableFunc(todo, func(a, b place) int {
				if a.time.IsZero() != b.time.IsZero() {
					return cmp.Compare(b.unknown(), a.unknown())
				}
				return cmp.Or(b.time.Compare(a.time), strings.Compare(b.name, a.name))
			})
			continue
		}
		reason, err := next.incomplete(ctx, fsys)
		switch {
		case err != nil:
			return "", passed, err
		case reason == "":
			return next.name, passed, nil
		case len(passed) < maxPassedOver:
			passed = append(passed, PassedOver{next.name, reason})
		default:
			more++
		}
	}
	return "", passed, nothingComplete(root, passed, more)
}

func nothingComplete(root string, passed []PassedOver, more int) error {
	if len(passed) == 0 {
		return failure.Errorf(failure.NotFound, "there is no export in %s", root)
	}
	var list []string
	for _, p := range passed {
		list = append(list, p.Export+": "+p.Reason)
	}
	if more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return failure.Errorf(failure.NotFound, "no export in %s is complete: %s", root, strings.Join(list, "; "))
}

// place is a folder that may hold exports, or an export.
type place struct {
	name   string
	depth  int
	time   time.Time // zero: not known
	export *folder   // what it holds, once it was looked into and found to be more than a folder of folders
}

func (p place) unknown() int {
	if p.time.IsZero() {
		return 1
	}
	return 0
}

// look looks into a folder and returns what is to be looked at next: the folder
// itself as an export, or the folders in it.
func (p place) look(fsys fs.FS) ([]place, error) {
	f, err := list(fsys, p.name)
	if err != nil {
		return nil, err
	}
	if f.isExport() {
		p.export = &f
		if p.time.IsZero() {
			p.time, err = written(fsys, f)
		}
		return []place{p}, err
	}
	var below []place
	for _, name := range f.folders {
		if p.depth == maxDepth {
			break
		}
		at := timeInName(path.Base(name))
		if at.IsZero() {
			at = p.time
		}
		below = append(below, place{name: name, depth: p.depth + 1, time: at})
	}
	if len(f.data) > 0 { // a backup without its manifest, or files of another kind
		p.export = &f
		if p.time.IsZero() {
			p.time, err = written(fsys, f)
		}
		below = append(below, p)
	}
	return below, err
}

// incomplete says why an export cannot be read; empty if it can.
func (p place) incomplete(ctx context.Context, fsys fs.FS) (string, error) {
	if !p.export.isExport() {
		return "it has data files, and neither " + summaryFile + " nor " + backupManifest, nil
	}
	r := &Reader{fsys: fsys, total: -1}
	err := r.use(ctx, *p.export)
	for _, file := range r.files {
		if err != nil {
			break
		}
		if _, err = fs.Stat(fsys, file.name); errors.Is(err, fs.ErrNotExist) {
			return "its manifest names " + path.Base(file.name) + ", which is not there", nil
		}
	}
	var bad *failure.Error
	if errors.As(err, &bad) {
		return bad.Detail, nil
	}
	return "", err
}

// nativeID is a name that DynamoDB gives to an export: the time, in milliseconds
// since 1970, and a random number.
var nativeID = regexp.MustCompile(`^(\d{14})-[0-9a-f]{8}$`)

// timeInName is the time in the name of an export's folder, as DynamoDB and Data
// Pipeline name them; zero if there is none.
func timeInName(name string) time.Time {
	if m := nativeID.FindStringSubmatch(name); m != nil {
		ms, _ := strconv.ParseInt(m[1], 10, 64)
		return time.UnixMilli(ms)
	}
	for _, layout := range []string{"2006-01-02-15-04-05", time.DateOnly} {
		if at, err := time.Parse(layout, name); err == nil {
			return at
		}
	}
	return time.Time{}
}

// written is when the newest of the marks and files in a folder was written.
func written(fsys fs.FS, f folder) (at time.Time, err error) {
	entries, err := fs.ReadDir(fsys, f.name)
	if err != nil {
		return at, fmt.Errorf("listing %s: %w", f.name, err)
	}
	at = time.UnixMilli(0) // known, and older than all others
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !e.IsDir() && info.ModTime().After(at) {
			at = info.ModTime()
		}
	}
	return at, nil
}
