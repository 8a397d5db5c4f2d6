package secrets_test

import (
	"fmt"
	"strings"
	"testing"

	"gateway/internal/secrets"
)

func TestDatabaseSecrets(t *testing.T) {
	for name, tc := range map[string]struct {
		text, fault string
		port        uint16
	}{
		"a numeric port":          {`{"engine":"postgres","host":"h","port":6543,"username":"u","password":"leak","dbname":"d"}`, "", 6543},
		"a port as text":          {`{"engine":"postgres","host":"h","port":"6543","username":"u","password":"leak","dbname":"d"}`, "", 6543},
		"no port":                 {`{"host":"h","username":"u","password":"leak","dbname":"d"}`, "", 5432},
		"members beyond the form": {`{"engine":"aurora-postgresql","host":"h","username":"u","password":"leak","dbname":"d","masterarn":"x"}`, "", 5432},
		"another engine":          {`{"engine":"mysql","host":"h","username":"u","password":"leak","dbname":"d"}`, "mysql", 0},
		"no host":                 {`{"username":"u","password":"leak","dbname":"d"}`, "host", 0},
		"no password":             {`{"host":"h","username":"u","dbname":"d"}`, "password", 0},
		"a port out of range":     {`{"host":"h","port":70000,"username":"u","password":"leak","dbname":"d"}`, "port", 0},
		"a port that is none":     {`{"host":"h","port":"leak","username":"u","password":"leak","dbname":"d"}`, "port", 0},
		"not JSON":                {`leak`, "JSON", 0},
		"a list":                  {`["leak"]`, "JSON", 0},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := secrets.ParseDatabase([]byte(tc.text))
			if tc.fault == "" && (err != nil || d.Port != tc.port || d.Host != "h" || d.Password.Reveal() != "leak") {
				t.Errorf("got %v (%v)", d, err)
			}
			if tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)) {
				t.Errorf("got %v, want an error that names %s", err, tc.fault)
			}
			if text := fmt.Sprintf("%v %+v %v", d, d, err); strings.Contains(text, "leak") {
				t.Errorf("the password was printed: %s", text)
			}
		})
	}
}
