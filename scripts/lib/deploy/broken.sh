# Sourced by scripts/check-deploy: what breaks a copy of a file, and the check that has to notice.
# shellcheck shell=bash disable=SC2154

# `broken CHECK FILE SED`: fails when SED changes nothing, or when CHECK does not notice.
broken() {
  local check=$1 file=$2 how=$3 status=0 root=$work/broken
  rm -rf "$root"
  mkdir "$root"
  cp -a Dockerfile heroku.yml deploy scripts .github "$root/"
  sed -i -E "$how" "$root/$file"
  if cmp -s "$file" "$root/$file"; then
    echo "NOT BROKEN  $check  $file  $how"
    unnoticed=$((unnoticed + 1))
    return
  fi
  # Not in a condition, where bash ignores `set -e` inside of a function.
  "check_$check" "$root" >"$work/noticed" 2>&1 &
  wait $! || status=$?
  if [ "$status" = 0 ]; then
    echo "NOT NOTICED $check  $file  $how"
    unnoticed=$((unnoticed + 1))
  else
    printf 'noticed     %-10s %s\n            %s\n' "$check" "$file" "$(grep -v '^== ' "$work/noticed" | tail -n 1 | cut -c 1-150)"
    noticed=$((noticed + 1))
  fi
}

self_test() {
  noticed=0 unnoticed=0
  local base=deploy/kubernetes/base over=deploy/kubernetes/overlays compose=deploy/compose/compose.yaml single=deploy/compose/compose.single.yaml
  broken image Dockerfile 's/rust:1.95.0-bookworm/rust:latest/'
  broken image Dockerfile 's/^ENTRYPOINT \[(.*)\]/ENTRYPOINT \1/'
  broken image Dockerfile 's/^USER 65532.*/USER/'
  broken image $compose 's/^( +)restart: unless-stopped/\1restart: 5/'
  broken image $compose 's/172.30.80.12 \}/172.30.80.99 }/'
  broken image $compose 's/- backups:\/backups/- backup:\/backups/'
  broken image $compose 's/secrets: \[postgres_password\]/secrets: [postgres_pasword]/'
  broken image $compose 's/image: nginx:1.28/image: nginx/'
  broken image $compose 's/(TRUSTED_PROXIES: 172.30.80).10/\1.0/'
  broken image $compose 's/memory: 192M/memery: 192M/'
  broken image $compose 's/^    deploy: .*192M.*//'
  broken image $single 's/hub: \{ condition: service_healthy \}/hubs: { condition: service_healthy }/'
  broken image $single 's/cap_drop: \[ALL\]/cap_drop: []/'
  broken image deploy/compose/make-secrets 's/^secret redis_conf.*//'
  broken image heroku.yml 's/web: Dockerfile/web: dockerfile/'
  broken image heroku.yml 's/^setup:/set-up:/'
  broken kubernetes $base/kustomization.yaml 's/service.yaml/services.yaml/'
  broken kubernetes $base/deployment.yaml 's/readinessProbe/readynessProbe/'
  broken kubernetes $base/deployment.yaml 's/cpu: 250m/cpu: 25m/'
  broken kubernetes $base/deployment.yaml 's/GracePeriodSeconds: 45/GracePeriodSeconds: 30/'
  broken kubernetes $base/deployment.yaml 's/containerPort: 9000/containerPort: "9000"/'
  broken kubernetes $base/deployment.yaml 's/name: bellhop-config \}/name: bellhop-settings }/'
  broken kubernetes $base/service.yaml 's/targetPort: http/targetPort: web/'
  broken kubernetes $base/ingress.yaml 's/proxy-read-timeout: 3600s/proxy-read-timeout: 60s/'
  broken kubernetes $base/ingress.yaml 's/name: bellhop, port/name: belhop, port/'
  broken kubernetes $base/autoscaler.yaml 's/value: 25,/value: 50,/'
  broken kubernetes $base/autoscaler.yaml 's/maxReplicas: 20/maxReplicas: twenty/'
  broken kubernetes $base/autoscaler.yaml 's/name: websocket_connections_active/name: sockets/'
  broken kubernetes $base/disruptionbudget.yaml 's/maxUnavailable: 1/maxUnavailable: 2/'
  broken kubernetes $base/networkpolicy.yaml 's/policyTypes/policyType/'
  broken kubernetes $base/networkpolicy.yaml '/podSelector/,/matchLabels/s/name: bellhop/name: hub/'
  broken kubernetes $base/monitors.yaml 's/interval: 15s, scrape/interval: 15, scrape/'
  broken kubernetes $base/monitors.yaml 's/jobLabel/jobLable/'
  broken kubernetes $base/monitors.yaml 's/prober:/probers:/'
  broken kubernetes $base/prometheusrule.yaml 's/^( +)expr:/\1exp:/'
  broken kubernetes $base/config.env 's/^SECRET_KEY_FILE=.*/SECRET_KEY_FILE=\/run\/key/'
  broken kubernetes $base/secret.yaml 's/redis_url:/redis:/'
  broken kubernetes $base/namespace.yaml 's/^kind: Namespace/kind: Namespaces/'
  broken kubernetes $base/serviceaccount.yaml 's/name: bellhop/name: hub/'
  broken kubernetes $over/staging/kustomization.yaml 's/rules\/0\/host, value: staging.orders/rules\/0\/host, value: stage.orders/'
  broken kubernetes $over/production/kustomization.yaml 's/DoNotSchedule/Never/'
  broken kubernetes $over/production/kustomization.yaml 's/newTag: 0.1.0/newTag: latest/'
  if [ -d deploy/monitoring/rules ]; then broken rules $base/prometheusrule.yaml 's/for: 1m/for: 2m/'; fi
  broken nginx deploy/nginx/nginx.conf 's/worker_connections/worker_conections/'
  broken nginx deploy/nginx/nginx.conf 's/rate=100r/rate=10r/'
  broken nginx deploy/nginx/hubs.conf '/80.12/s/max_fails=3/max_fails=1/'
  broken nginx deploy/nginx/hubs.conf 's/^ +least_conn;/ip_hash;/'
  broken nginx deploy/nginx/hubs.single.conf 's/upstream bellhop/upstream hub/'
  broken nginx deploy/nginx/site.conf 's/TLSv1.2 TLSv1.3/TLSv1.1 TLSv1.2/'
  broken nginx deploy/nginx/site.conf '/location \/ws/,/\}/s/proxy_buffering off/proxy_buffering on/'
  broken nginx deploy/nginx/site.conf 's/X-Forwarded-For \$remote_addr/X-Forwarded-For $proxy_add_x_forwarded_for/'
  broken nginx deploy/nginx/site.conf '/location \/ws/s/\{//'
  broken workflows .github/workflows/ci.yml 's/runs-on:/run-on:/'
  broken workflows .github/workflows/ci.yml 's/needs: \[?image/needs: [picture/'
  broken workflows .github/workflows/release.yml 's/matrix\.target/matrix.targets/'
  broken scripts deploy/compose/make-secrets 's/printf .%s.n. "\$2"/printf "%s\\n" $2/'
  broken scripts deploy/compose/backup-schedule 's/"\$to\/status.prom"/$to\/status.prom/'
  broken scripts deploy/compose/allow-backups.sh 's/"\$PGDATA/$PGDATA/'
  if [ -n "$hub" ]; then
    # The overlays as they are; what is broken is their source, which the check of Kubernetes renders before this one.
    check_kubernetes .
    broken settings $compose 's/TRUSTED_HOSTS:/TRUSTED_HOST:/'
    broken settings $single 's/MEMORY_BYTES: .134217728./MEMORY_BYTES: "1"/'
  fi
  say "$noticed noticed, $unnoticed not"
  [ "$unnoticed" = 0 ]
}
