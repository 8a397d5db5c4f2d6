// Package aws implements the ports of the domain packages on AWS. It is the
// only package that knows the SDK.
package aws
