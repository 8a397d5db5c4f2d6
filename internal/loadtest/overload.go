package main

import "context"

func overload(ctx context.Context, o options, r *report) error { return nil }
