package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"gateway/internal/failure"
)

// Bounds of the search for an export below the named folder. For a larger bucket
// the name must be more exact.
const (
	maxDepth   = 8
	maxFolders = 1000
)

// folder is the relevant content of a folder.
type folder struct {
	name     string
	started  bool     // _started: DynamoDB began an export here
	summary  bool     // manifest-summary.json: and completed it
	manifest bool     // manifest: a backup
	parts    bool     // marks or file names of a backup
	data     []string // files that may hold items
	folders  []string
}

func (f folder) isExport() bool { return f.started || f.summary || f.manifest }

// locate finds the export at or below root and lists its files.
func (r *Reader) locate(ctx context.Context, root string) error {
	root = path.Clean(strings.TrimSuffix(root, "/"))
	if !fs.ValidPath(root) {
		return failure.Errorf(failure.Invalid, "%q is not a path within the place that exports are read from", root)
	}
	info, err := fs.Stat(r.fsys, root)
	if errors.Is(err, fs.ErrNotExist) {
		return &failure.Error{Kind: failure.NotFound, Detail: "there is no " + root, Err: err}
	}
	if err != nil {
		return fmt.Errorf("looking at %s: %w", root, err)
	}
	if !info.IsDir() {
		// DescribeExport returns the name of the summary, so that is accepted too.
		if path.Base(root) != summaryFile {
			r.layout, r.folder = Loose, root
			r.files = []dataFile{{name: root, items: -1}}
			return nil
		}
		root = path.Dir(root)
	}
	top, found, err := search(ctx, r.fsys, root)
	switch {
	case err != nil:
		return err
	case len(found) > 1:
		names := make([]string, len(found))
		for i, f := range found {
			names[i] = f.name
		}
		return failure.Errorf(failure.Invalid, "%s holds several exports; name one of: %s", root, strings.Join(names, ", "))
	case len(found) == 1:
		return r.use(ctx, found[0])
	case len(top.data) == 0:
		return failure.Errorf(failure.NotFound, "%s has no export: neither %s nor manifest nor data files", root, summaryFile)
	case top.parts:
		return failure.Errorf(failure.Conflict, "the backup in %s is incomplete: it has files but no %s; a single file can be named instead", root, backupManifest)
	}
	r.layout, r.folder = Loose, root
	for _, name := range top.data {
		r.files = append(r.files, dataFile{name: name, items: -1})
	}
	return nil
}

func (r *Reader) use(ctx context.Context, f folder) error {
	r.folder = f.name
	switch {
	case f.summary:
		return r.useNative(ctx)
	case f.started:
		return failure.Errorf(failure.Conflict, "the export in %s is incomplete: it was started, but there is no %s yet", f.name, summaryFile)
	}
	return r.useBackup()
}

// search lists root and, breadth first, the folders below it, and returns those
// that are exports. It does not search inside exports.
func search(ctx context.Context, fsys fs.FS, root string) (top folder, found []folder, err error) {
	type step struct {
		name  string
		depth int
	}
	for todo, seen := []step{{root, 0}}, 0; len(todo) > 0; todo = todo[1:] {
		if err := ctx.Err(); err != nil {
			return top, nil, err
		}
		if seen++; seen > maxFolders {
			return top, nil, failure.Errorf(failure.Invalid, "%s has more than %d folders; name the export's own", root, maxFolders)
		}
		f, err := list(fsys, todo[0].name)
		if err != nil {
			return top, nil, err
		}
		if seen == 1 {
			top = f
		}
		if f.isExport() {
			found = append(found, f)
			continue
		}
		for _, name := range f.folders {
			if todo[0].depth < maxDepth {
				todo = append(todo, step{name, todo[0].depth + 1})
			}
		}
	}
	return top, found, nil
}

// list classifies a folder's entries. Names that begin with _ or . are never
// data: Hadoop and the connector use them for their own marks.
func list(fsys fs.FS, name string) (folder, error) {
	entries, err := fs.ReadDir(fsys, name)
	if err != nil {
		return folder{}, fmt.Errorf("listing %s: %w", name, err)
	}
	f := folder{name: name}
	for _, e := range entries {
		full := path.Join(name, e.Name())
		isDir := e.IsDir()
		if !isDir && !e.Type().IsRegular() {
			info, err := fs.Stat(fsys, full) // where a symbolic link leads
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
		}
		switch base := e.Name(); {
		case isDir && !hidden(base):
			f.folders = append(f.folders, full)
		case isDir && base == "_temporary", base == "_SUCCESS":
			f.parts = true
		case isDir:
		case base == summaryFile:
			f.summary = true
		case base == startedFile:
			f.started = true
		case base == backupManifest:
			f.manifest = true
		case !hidden(base):
			f.data = append(f.data, full)
			f.parts = f.parts || backupFile.MatchString(base)
		}
	}
	return f, nil
}

// backupFile is how the connector names the files of a backup.
var backupFile = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(\.gz)?$`)

func hidden(base string) bool { return strings.HasPrefix(base, "_") || strings.HasPrefix(base, ".") }
