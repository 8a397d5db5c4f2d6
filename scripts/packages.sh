#!/usr/bin/env bash
# Renders, lints and tests what deploys a gateway: `make packages`, which has
# written the image before. What is not installed is named with what to do, and
# its checks are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

skipped=()
command -v cfn-lint >/dev/null || skipped+=("the CloudFormation and SAM templates are not linted: pip install 'cfn-lint>=1.51,<2'")
command -v systemd-analyze >/dev/null || skipped+=("the systemd unit is not verified: install systemd 250 or newer")
if ((EUID != 0)); then
  skipped+=("the image is not started: run as root")
elif ! unshare --mount true 2>/dev/null; then
  skipped+=("the image is not started: namespaces of mounts are not allowed here")
fi

for proxy in nginx haproxy; do
  command -v "$proxy" >/dev/null || skipped+=("no deployment is rehearsed behind $proxy: install $proxy")
done

# -count=1: what is tested lies outside the modules of the tests, where the cache of tests does not look.
go test -count=1 -v ./deploy/... | grep -vE '^(=== |--- PASS|PASS|    --- PASS)'
for module in deploy/image deploy/helm/check deploy/check; do
  echo "+ $module"
  (cd "$module" && go vet ./... && go test -count=1 ./...)
done

echo "+ deploy/rehearse, two replacements"
go test -count=1 -v ./deploy/rehearse -args -image "$PWD/dist/image" -replacements 2

echo "dist/image is $(sed -n 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/p' dist/image/index.json)"
for reason in "${skipped[@]}"; do
  echo "skipped: $reason"
done
