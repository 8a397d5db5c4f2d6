#!/usr/bin/env bash
# Renders, lints and tests what deploys a gateway: `make packages`. What is not
# installed is named with what to do, and its checks are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

skipped=()
command -v cfn-lint >/dev/null || skipped+=("CloudFormation is not linted: pip install 'cfn-lint>=1.51,<2'")
command -v systemd-analyze >/dev/null || skipped+=("the systemd unit is not verified: install systemd")
((EUID == 0)) || skipped+=("the image is not started: run as root")

for module in deploy/image deploy/helm/check deploy/check; do
  [[ -f $module/go.mod ]] || continue
  # -count=1: what is tested lies outside the module, where the cache of tests does not look.
  echo "+ $module"
  (cd "$module" && go vet ./... && go test -count=1 ./...)
done

for reason in "${skipped[@]}"; do
  echo "skipped: $reason"
done
