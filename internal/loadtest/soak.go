package main

import "context"

func soak(ctx context.Context, o options, r *report) error { return nil }
