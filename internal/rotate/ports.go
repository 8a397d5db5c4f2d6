package rotate

import (
	"context"
	"errors"

	"gateway/internal/secrets"
)

// The staging labels of Secrets Manager.
const (
	Current  = "AWSCURRENT"
	Pending  = "AWSPENDING"
	Previous = "AWSPREVIOUS"
)

// Store keeps the versions of secrets.
type Store interface {
	// Describe returns the versions of a secret.
	Describe(ctx context.Context, id string) (Description, error)
	// Get reads the version with a label. If version is not empty, it must be that one.
	// The error matches secrets.ErrNotFound if there is none, or if it has no value yet.
	Get(ctx context.Context, id, version, label string) (secrets.Secret, error)
	// Put stores the value of the version that a token names, and labels it as pending.
	// The error matches ErrOtherValue if the version has another value, and ErrUnderWay
	// if the version begins a rotation and another one has begun meanwhile.
	Put(ctx context.Context, id string, version Version, value secrets.Secret) error
	// Promote makes the version to the current one, in one call. from is the present one.
	Promote(ctx context.Context, id, to, from string) error
}

// Version names a version to be made.
type Version struct {
	Token string // of the rotation: the id of the version
	Proof string // the RotationToken of Secrets Manager; empty: none
	// Begins says that no other part has labelled the version as pending. Before is the
	// version that had the label when that was decided; empty: none.
	Begins bool
	Before string
}

// Description is what a secret has.
type Description struct {
	Rotates bool                // its rotation is enabled
	Labels  map[string][]string // of each version
}

// current returns the id of the current version.
func (d Description) current() string { return d.holder(Current) }

// holder returns the id of the version that has a label, or nothing.
func (d Description) holder(label string) string {
	for id, labels := range d.Labels {
		for _, l := range labels {
			if l == label {
				return id
			}
		}
	}
	return ""
}

// ErrOtherValue means that a version has a value already, which is another one.
var ErrOtherValue = errors.New("the version has another value already")

// ErrUnderWay means that another rotation of the secret is under way.
var ErrUnderWay = errors.New("another rotation of the secret is under way")

// Server is a kind of database server. Errors match ErrLogin, ErrUnreachable or
// ErrProtection where they are that, and contain no password.
type Server interface {
	// Login makes a connection and ends it. It returns the role whose rights the
	// connection had.
	Login(ctx context.Context, as secrets.Database) (role string, err error)
	// SetPassword changes the password of a user. as is that user, or one who may.
	SetPassword(ctx context.Context, as secrets.Database, user string, password secrets.Secret) error
	// SetTwin gives the user of a pair whose turn it is a password, and makes the user
	// if necessary. Afterwards either user can work with what the other one made. A
	// call that fails has changed no password.
	SetTwin(ctx context.Context, as secrets.Database, twins Twins, password secrets.Secret) error
}

// Twins are two users who take turns.
type Twins struct {
	Next  string // whose turn it is
	Other string // who is in use
	// Owner is the role of both, to which belongs what they make.
	Owner string
}

var (
	// ErrLogin means that the server refused the user or the password.
	ErrLogin = errors.New("the server refused the user or the password")
	// ErrUnreachable means that the server did not answer. The password may be right.
	ErrUnreachable = errors.New("the server cannot be reached; check host, port, security groups and subnets")
	// ErrProtection means that the server did not prove who it is, or asked for the
	// password in a way that is not allowed. It did not get the password.
	ErrProtection = errors.New("the connection is not protected as required")
)
