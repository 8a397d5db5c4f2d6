// Package disktest gives tests a disk that can be filled. It does so on Linux
// alone.
package disktest
