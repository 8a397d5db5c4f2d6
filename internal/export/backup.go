package export

import (
	"io/fs"
	"path"

	"github.com/go-json-experiment/json"

	"gateway/internal/failure"
)

// backupManifest names the files of a backup that Data Pipeline or the EMR
// connector wrote.
const backupManifest = "manifest"

// useBackup reads the manifest of the backup in r.folder. It lists files by the
// address that they were written to. They are beside the manifest, so only the
// last part of the address is used.
func (r *Reader) useBackup() error {
	r.layout = Backup
	name := path.Join(r.folder, backupManifest)
	text, err := readSmall(r.fsys, name)
	if err != nil {
		return err
	}
	var m struct {
		Entries *[]struct {
			URL string `json:"url"`
		} `json:"entries"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return &failure.Error{Kind: failure.Invalid, Detail: name + " is not the manifest of a backup", Err: err}
	}
	if m.Entries == nil {
		return failure.Errorf(failure.Invalid, "%s is not the manifest of a backup: it has no entries", name)
	}
	seen := make(map[string]bool)
	for i, e := range *m.Entries {
		base := path.Base(e.URL)
		if base == "." || base == "/" || !fs.ValidPath(base) {
			return failure.Errorf(failure.Invalid, "%s: entry %d names no file: %q", name, i+1, shorten(e.URL))
		}
		if seen[base] {
			return failure.Errorf(failure.Invalid, "%s: entry %d names %s a second time", name, i+1, base)
		}
		seen[base] = true
		r.files = append(r.files, dataFile{name: path.Join(r.folder, base), items: -1})
	}
	return nil
}
