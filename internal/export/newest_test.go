package export

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
)

// nativeAs is a complete export of DynamoDB under another id.
func nativeAs(t *testing.T, root, id string) map[string]string {
	t.Helper()
	content := make(map[string]string)
	for name, f := range writeBank(t, 100).MapFS {
		within := strings.SplitN(name, "/", 5)[4]
		content[root+"/AWSDynamoDB/"+id+"/"+within] = string(f.Data)
	}
	return content
}

func backupIn(folder string) map[string]string {
	return map[string]string{
		folder + "/manifest": fmt.Sprintf(`{"name":"DynamoDB-export","version":3,"entries":[{"url":"s3://b/%s/p1","mandatory":true}]}`, folder),
		folder + "/p1":       lineOne, folder + "/_SUCCESS": "",
	}
}

func without(content map[string]string, names ...string) map[string]string {
	for _, name := range names {
		delete(content, name)
	}
	return content
}

func TestTheNewestCompleteExportIsFound(t *testing.T) {
	const older, newer = "01695353076000-aaaaaaaa", "01695353077000-00000000"
	tests := []struct {
		name    string
		content []map[string]string
		want    string
		passed  []PassedOver
	}{
		{"backups by time", []map[string]string{backupIn("x/2018-09-30-00-00-00"), backupIn("x/2018-10-01-00-00-00")}, "x/2018-10-01-00-00-00", nil},
		{"the newest backup has no manifest",
			[]map[string]string{backupIn("x/2018-09-30-00-00-00"), without(backupIn("x/2018-10-01-00-00-00"), "x/2018-10-01-00-00-00/manifest")},
			"x/2018-09-30-00-00-00", []PassedOver{{"x/2018-10-01-00-00-00", "it has data files, and neither manifest-summary.json nor manifest"}}},
		{"a file of the newest backup is missing",
			[]map[string]string{backupIn("x/2018-09-30-00-00-00"), without(backupIn("x/2018-10-01-00-00-00"), "x/2018-10-01-00-00-00/p1")},
			"x/2018-09-30-00-00-00", []PassedOver{{"x/2018-10-01-00-00-00", "its manifest names p1, which is not there"}}},
		{"the manifest of the newest backup is half written",
			[]map[string]string{backupIn("x/2018-09-30-00-00-00"), backupIn("x/2018-10-01-00-00-00"), {"x/2018-10-01-00-00-00/manifest": `{"name":"Dyn`}},
			"x/2018-09-30-00-00-00", []PassedOver{{"x/2018-10-01-00-00-00", "x/2018-10-01-00-00-00/manifest is not the manifest of a backup"}}},
		{"an export that has begun",
			[]map[string]string{nativeAs(t, "x", older), {"x/AWSDynamoDB/" + newer + "/_started": "", "x/AWSDynamoDB/" + newer + "/data/a.json.gz": lineOne}},
			"x/AWSDynamoDB/" + older, []PassedOver{{"x/AWSDynamoDB/" + newer,
				"the export in x/AWSDynamoDB/" + newer + " is incomplete: it was started, but there is no manifest-summary.json yet"}}},
		{"an export without its list of files",
			[]map[string]string{nativeAs(t, "x", older), without(nativeAs(t, "x", newer), "x/AWSDynamoDB/"+newer+"/manifest-files.json")},
			"x/AWSDynamoDB/" + older, []PassedOver{{"x/AWSDynamoDB/" + newer, "x/AWSDynamoDB/" + newer + "/manifest-files.json is missing"}}},
		{"exports in folders of others' names", []map[string]string{nativeAs(t, "x/b", older), nativeAs(t, "x/a", newer)}, "x/a/AWSDynamoDB/" + newer, nil},
		{"both kinds", []map[string]string{nativeAs(t, "x", newer), backupIn("x/2018-10-01-00-00-00")}, "x/AWSDynamoDB/" + newer, nil},
		{"logs beside them, written later", []map[string]string{backupIn("x/2018-10-01-00-00-00"), {"x/zz-logs/2018/run.log": "no"}}, "x/2018-10-01-00-00-00",
			[]PassedOver{{"x/zz-logs/2018", "it has data files, and neither manifest-summary.json nor manifest"}}},
		{"an export itself", []map[string]string{backupIn("x")}, "x", nil},
		{"marks only", []map[string]string{backupIn("x/2018-10-01-00-00-00"), {"x/2019-10-01-00-00-00/_SUCCESS": ""}}, "x/2018-10-01-00-00-00", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := together(tt.content...)
			got, passed, err := Newest(t.Context(), fsys, "x")
			if err != nil || got != tt.want {
				t.Fatalf("got %q, %v; want %q", got, err, tt.want)
			}
			if diff := cmp.Diff(tt.passed, passed); diff != "" {
				t.Error(diff)
			}
			if _, err := Open(t.Context(), fsys, got); err != nil {
				t.Errorf("it cannot be opened: %v", err)
			}
		})
	}
}

// together is a file system whose files were written long after all exports.
func together(content ...map[string]string) fstest.MapFS {
	all := make(map[string]string)
	for _, c := range content {
		maps.Copy(all, c)
	}
	fsys := files(all)
	for _, f := range fsys {
		f.ModTime = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return fsys
}

func TestWhereNoExportIsCompleteAllAreListed(t *testing.T) {
	one, two := backupIn("x/2018-09-30-00-00-00"), backupIn("x/2018-10-01-00-00-00")
	fsys := together(without(one, "x/2018-09-30-00-00-00/manifest"), without(two, "x/2018-10-01-00-00-00/p1"))
	_, _, err := Newest(t.Context(), fsys, "x")
	var said *failure.Error
	if !errors.As(err, &said) || said.Kind != failure.NotFound {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"2018-10-01-00-00-00: its manifest names p1", "2018-09-30-00-00-00: it has data files"} {
		if !strings.Contains(said.Detail, want) {
			t.Errorf("%q does not say %q", said.Detail, want)
		}
	}
	many := make(map[string]string)
	for i := range 30 {
		many[fmt.Sprintf("x/2018-10-01-00-00-%02d/p1", i)] = lineOne
	}
	if _, passed, err := Newest(t.Context(), together(many), "x"); len(passed) != maxPassedOver || err == nil || !strings.HasSuffix(err.Error(), "and 10 more") {
		t.Errorf("%d are listed: %v", len(passed), err)
	}
	if _, _, err := Newest(t.Context(), together(map[string]string{"x/_SUCCESS": ""}), "x"); err == nil || !strings.Contains(err.Error(), "there is no export in x") {
		t.Errorf("got %v", err)
	}
}

func TestAnUnfinishedBackupIsNotOpened(t *testing.T) {
	for name, content := range map[string]map[string]string{
		"files of the connector": {"b/1ccad63d-dde6-4ca1-a12a-e3f5694ae5f1": lineOne},
		"a mark":                 {"b/p1": lineOne, "b/_SUCCESS": ""},
		"a folder of its own":    {"b/p1": lineOne, "b/_temporary/0/p2": lineTwo},
	} {
		_, err := Open(t.Context(), together(content), "b")
		var said *failure.Error
		if !errors.As(err, &said) || said.Kind != failure.Conflict || !strings.Contains(said.Detail, "files but no manifest") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
