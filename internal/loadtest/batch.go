package main

import "context"

func batch(ctx context.Context, o options, r *report) error { return nil }
