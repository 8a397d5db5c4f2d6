// Package pgtest gives tests a real PostgreSQL server that is thrown away.
//
// It starts one server for a test binary, when the first test asks for a
// database, and each test gets a new, empty one:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
//
//	func TestSomething(t *testing.T) {
//		config, err := pgx.ParseConfig(pgtest.Database(t))
//		…
//	}
//
// [Prepared] gives databases that have something in them already, such as
// tables, for less than it takes to put it there each time.
//
// A test that must stop, freeze or fill a server gets one of its own with [New].
//
// The programs initdb and postgres are looked for in the folder TEST_PG_BIN,
// then beside the pg_ctl on the PATH, then where packages install them. Where
// there are none the test is skipped, or fails if CI is "true". With TEST_PG_URL
// the server there is used instead of one of our own; its user must be allowed
// to create databases.
//
// The server keeps nothing safe: it writes without flushing, on Linux into /dev/shm
// if that has two GiB free, and is killed in the end. PostgreSQL refuses to run as root, so that root starts it as the
// user "postgres" or else "nobody".
package pgtest
