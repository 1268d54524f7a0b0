package main

// p50, p95 and p99 of a histogram.
func quantiles(metric string) []query {
	of := func(q, name string) query {
		return query{"histogram_quantile(" + q + ", sum by (le) (rate(" + metric + "_bucket{HUBS}[$__rate_interval])))", name}
	}
	return []query{of("0.5", "p50"), of("0.95", "p95"), of("0.99", "p99")}
}

// rate of a counter, one series for each value of a label.
func rate(metric, label string) []query {
	return []query{{"sum by (" + label + ") (rate(" + metric + "{HUBS}[$__rate_interval]))", "{{" + label + "}}"}}
}

// total is the rate of a counter over all nodes.
func total(metric, legend string) query {
	return query{"sum(rate(" + metric + "{HUBS}[$__rate_interval]))", legend}
}

// each shows a gauge of every node.
func each(metric string) []query { return []query{{metric + "{HUBS}", "{{instance}}"}} }

// whole is a gauge that every node shows for the whole hub.
func whole(metric, legend string) query { return query{"max(" + metric + "{HUBS})", legend} }

func boards() []board {
	return []board{service(), delivery(), orders(), database(), security()}
}

func service() board {
	return board{"bellhop-service", "Bellhop: service", "Whether every node is well, and how long requests take.", []row{
		{"Now", []panel{
			{title: "Nodes", unit: "none", kind: "stat", limit: 1, below: true, queries: []query{{`sum(up{job="bellhop"})`, "up"}}},
			{title: "Requests", unit: "reqps", kind: "stat", queries: []query{{"hub:http_requests:increase5m / 300", "a second"}}},
			{title: "Failed requests", unit: "percentunit", kind: "stat", limit: 0.01, queries: []query{{"hub:http_requests_failed:ratio5m", "5 minutes"}}},
		}},
		{"Requests", []panel{
			{title: "Requests by status", unit: "reqps", queries: rate("http_requests_total", "status")},
			{title: "Time of all requests", unit: "s", limit: 0.1, about: "The objective is 100 ms at p95. The wait of a long poll is not counted; health checks are.", queries: quantiles("http_request_duration_seconds")},
			{title: "Slowest routes, p95", unit: "s", queries: []query{{"topk(8, histogram_quantile(0.95, sum by (le, method, endpoint) (rate(http_request_duration_seconds_bucket{HUBS}[$__rate_interval]))))", "{{method}} {{endpoint}}"}}},
			{title: "Busiest routes", unit: "reqps", queries: []query{{"topk(8, sum by (method, endpoint) (rate(http_requests_total{HUBS}[$__rate_interval])))", "{{method}} {{endpoint}}"}}},
			{title: "Connections refused before a route was asked", unit: "cps", queries: rate("http_connections_refused_total", "reason")},
			{title: "Request and answer in the last 5 minutes, p95 and p99", unit: "s", limit: 0.5, about: "What the alerts see: without health checks.", queries: []query{{"hub:http_request_duration_seconds:p95_5m", "p95"}, {"hub:http_request_duration_seconds:p99_5m", "p99"}}},
		}},
		{"Nodes", []panel{
			{title: "CPU of the process", unit: "percentunit", about: "1 is one core.", queries: []query{{"rate(process_cpu_seconds_total{HUBS}[$__rate_interval])", "{{instance}}"}}},
			{title: "CPU of the machine", unit: "percent", limit: 90, queries: each("system_cpu_usage_percent")},
			{title: "Memory of the process", unit: "bytes", queries: each("process_resident_memory_bytes")},
			{title: "Memory of the machine in use", unit: "bytes", queries: each("system_memory_usage_bytes")},
			{title: "Open files", unit: "none", queries: append(each("process_open_fds"), query{"min(process_max_fds{HUBS})", "limit"})},
			{title: "Time since the start", unit: "s", queries: []query{{"time() - process_start_time_seconds{HUBS}", "{{instance}}"}}},
			{title: "Messages that wait in mailboxes", unit: "none", queries: []query{{"max by (actor) (mailbox_depth{HUBS})", "{{actor}}"}}},
			{title: "Background jobs that did not end well", unit: "none", queries: []query{{`sum by (job, outcome) (increase(jobs_total{HUBS,outcome!="done"}[1h]))`, "{{job}} {{outcome}}"}}},
			{title: "Log lines dropped", unit: "none", queries: []query{{"increase(log_lines_dropped_total{HUBS}[$__rate_interval])", "{{instance}}"}}},
			{title: "Version", unit: "none", kind: "table", queries: []query{{"build_info{HUBS}", ""}}},
			{title: "Series of each node", unit: "none", limit: 5000, about: "What monitoring costs; see docs/monitoring.md.", queries: []query{{`scrape_samples_scraped{HUBS}`, "{{instance}}"}}},
		}},
	}}
}

func delivery() board {
	return board{"bellhop-sockets", "Bellhop: sockets and delivery", "Whether events reach their devices at once, on every node.", []row{
		{"Now", []panel{
			{title: "Open sockets", unit: "none", kind: "stat", queries: []query{{"hub:websocket_connections_active:sum", "all nodes"}}},
			{title: "Commit to socket, p99", unit: "s", kind: "stat", limit: 0.05, queries: []query{{"hub:event_delivery_seconds:p99_5m", "5 minutes"}}},
			{title: "Commit to acknowledgement, p99", unit: "s", kind: "stat", limit: 1, queries: []query{{"hub:event_ack_seconds:p99_5m", "5 minutes"}}},
		}},
		{"Delivery", []panel{
			{title: "Commit to socket", unit: "s", limit: 0.05, about: "The objective is 50 ms at p99.", queries: quantiles("event_delivery_seconds")},
			{title: "Commit to socket, all events", unit: "s", kind: "heatmap", queries: []query{{"sum by (le) (increase(event_delivery_seconds_bucket{HUBS}[$__rate_interval]))", "{{le}}"}}},
			{title: "Commit to the first acknowledgement of a device", unit: "s", queries: quantiles("event_ack_seconds")},
			{title: "Frames: live, and from history", unit: "ops", about: "History is what devices get that come back.", queries: rate("deliveries_total", "lane")},
			{title: "Notifications", unit: "ops", queries: rate("notifications_sent_total", "type")},
			{title: "Memory of events in rooms", unit: "bytes", queries: each("room_memory_bytes")},
		}},
		{"Sockets", []panel{
			{title: "Open sockets by node", unit: "none", queries: each("websocket_connections_active")},
			{title: "Sockets closed, by reason", unit: "ops", queries: rate("websocket_closes_total", "reason")},
			{title: "Sockets closed by a fault", unit: "none", queries: []query{{`sum by (reason) (increase(websocket_closes_total{HUBS,reason=~"overloaded|internal|error|too_slow"}[$__rate_interval]))`, "{{reason}}"}}},
		}},
		{"Between nodes", []panel{
			{title: "The bus is connected", unit: "none", about: "Always 0 on a hub without Redis.", queries: each("bus_connected")},
			{title: "Time of a probe through Redis, p95", unit: "s", queries: []query{{"instance:bridge_lag_seconds:p95_5m", "{{instance}}"}}},
			{title: "Messages on the bus", unit: "ops", queries: rate("bus_messages_total", "result")},
			{title: "Gaps that rooms repaired", unit: "none", queries: []query{{"increase(room_gap_repairs_total{HUBS}[$__rate_interval])", "{{instance}}"}}},
			{title: "Age of what a node knows of the others", unit: "s", limit: 5, queries: each("control_age_seconds")},
			{title: "Changes acted on", unit: "ops", queries: append(rate("control_events_total", "kind"), total("control_resyncs_total", "everything dropped"))},
		}},
	}}
}

func orders() board {
	return board{"bellhop-orders", "Bellhop: orders", "Whether orders are placed, answered and paid; and the objective of missed orders.", []row{
		{"Missed orders: 99.5 % are answered", []panel{
			{title: "Missed in the last hour", unit: "percentunit", kind: "stat", limit: 0.005, queries: []query{{"hub:orders_missed:ratio1h", "1 hour"}}},
			{title: "Missed in 30 days", unit: "percentunit", kind: "stat", limit: 0.005, queries: []query{{"hub:orders_missed:ratio30d", "30 days"}}},
			{title: "Budget left of 30 days", unit: "percentunit", kind: "stat", limit: 0.0001, below: true, about: "1 minus the share of missed orders in what the objective allows (0.5 %). Negative: the objective is missed.", queries: []query{{"1 - hub:orders_missed:ratio30d / 0.005", "30 days"}}},
			{title: "Missed orders", unit: "none", queries: []query{{"sum(increase(orders_unanswered_total{HUBS}[$__rate_interval]))", "unanswered at the deadline"}}},
			{title: "Time until an order was answered", unit: "s", queries: quantiles("order_answer_seconds")},
			{title: "Rungs of unanswered orders", unit: "ops", queries: rate("order_rings_total", "rung")},
		}},
		{"Orders", []panel{
			{title: "Orders placed", unit: "ops", queries: []query{total("orders_created_total", "placed"), total("order_creation_errors_total", "refused with an error")}},
			{title: "Orders refused with an error, 15 minutes", unit: "percentunit", limit: 0.005, queries: []query{{"hub:order_creation_errors:ratio15m", "share"}}},
			{title: "Transitions by the status reached", unit: "ops", queries: rate("orders_processed_total", "status")},
			{title: "Deadlines: late by, p99", unit: "s", limit: 5, queries: []query{{"histogram_quantile(0.99, sum by (le, kind) (rate(deadline_lateness_seconds_bucket{HUBS}[$__rate_interval])))", "{{kind}}"}}},
			{title: "Deadlines on which nobody acts", unit: "none", limit: 1, queries: []query{whole("deadlines_overdue", "overdue")}},
			{title: "Revenue of delivered orders, an hour", unit: "none", about: "In minor units: cents.", queries: []query{{"sum by (currency) (increase(revenue_total_amount{HUBS}[1h]))", "{{currency}}"}}},
		}},
		{"Businesses and operators", []panel{
			{title: "Businesses with an order this week", unit: "none", queries: []query{{"max by (trading) (businesses_in_use{HUBS})", "{{trading}}"}}},
			{title: "Age of the oldest hold", unit: "s", limit: 3600, queries: []query{{"max by (what) (hold_age_seconds{HUBS})", "{{what}}"}}},
			{title: "Messages to the outside", unit: "ops", queries: []query{{"sum by (channel, result) (rate(intents_total{HUBS}[$__rate_interval]))", "{{channel}} {{result}}"}}},
		}},
		{"Drivers", []panel{
			{title: "Drivers who are on", unit: "none", queries: []query{{"max by (zone) (drivers_online{HUBS})", "{{zone}}"}}},
			{title: "Deliveries in zones without a driver", unit: "none", limit: 1, queries: []query{{"sum(max by (zone) (deliveries_without_driver{HUBS})) or vector(0)", "waiting"}}},
			{title: "Offers", unit: "ops", queries: rate("offers_total", "outcome")},
			{title: "Time until a driver has the delivery", unit: "s", queries: quantiles("dispatch_assign_seconds")},
		}},
		{"Money", []panel{
			{title: "Payments", unit: "ops", queries: rate("payments_total", "status")},
			{title: "Attempts at refunds", unit: "ops", queries: rate("refunds_total", "result")},
			{title: "Refunds that wait for an operator", unit: "none", limit: 1, queries: []query{{"max by (state) (refunds_waiting{HUBS})", "{{state}}"}}},
			{title: "Paid and not placed", unit: "none", limit: 1, queries: []query{whole("orders_paid_not_placed", "orders")}},
			{title: "Dead letters", unit: "none", limit: 1, queries: []query{whole("dead_letters", "open")}},
			{title: "Messages of the provider that wait", unit: "none", limit: 1000, queries: []query{whole("webhook_queue_depth", "waiting")}},
		}},
	}}
}

func database() board {
	return board{"bellhop-database", "Bellhop: database", "Connections, time of queries, writes, standbys, backups and disk.", []row{
		{"Now", []panel{
			{title: "Age of the last good backup", unit: "s", kind: "stat", limit: 26 * 3600, queries: []query{{"hub:backup_age_seconds:min", "age"}}},
			{title: "Size of the database", unit: "bytes", kind: "stat", queries: []query{whole("database_size_bytes", "size")}},
			{title: "Does not answer", unit: "none", kind: "stat", limit: 1, queries: []query{{"sum(database_circuit_open{HUBS})", "nodes"}}},
		}},
		{"Reads", []panel{
			{title: "Connections in use", unit: "percentunit", limit: 0.8, queries: []query{{"instance:database_pool_used:ratio", "{{instance}}"}}},
			{title: "Connections", unit: "none", queries: []query{{"sum by (state) (database_pool_connections{HUBS})", "{{state}}"}, {"sum(database_pool_max_connections{HUBS})", "limit"}}},
			{title: "Time of an operation", unit: "s", queries: quantiles("database_query_seconds")},
			{title: "Slowest operations, p95", unit: "s", queries: []query{{"topk(8, histogram_quantile(0.95, sum by (le, operation, table) (rate(database_query_seconds_bucket{HUBS}[$__rate_interval]))))", "{{operation}} {{table}}"}}},
			{title: "Operations", unit: "ops", queries: []query{{"topk(10, sum by (operation, table) (rate(database_operations_total{HUBS}[$__rate_interval])))", "{{operation}} {{table}}"}}},
			{title: "Reads answered from the cache", unit: "percentunit", limit: 0.9, below: true, queries: []query{{`sum by (cache) (rate(cache_requests_total{HUBS,result="hit"}[$__rate_interval])) / (sum by (cache) (rate(cache_requests_total{HUBS}[$__rate_interval])) > 0)`, "{{cache}}"}, {"hub:cache_requests:hit_ratio15m", "all, 15 minutes"}}},
		}},
		{"Writes", []panel{
			{title: "Writes that wait", unit: "none", limit: 1000, queries: each("persistence_queue_depth")},
			{title: "Time of a transaction", unit: "s", queries: quantiles("persistence_commit_seconds")},
			{title: "Writes in a transaction, on average", unit: "none", queries: []query{{"sum(rate(persistence_batch_size_sum{HUBS}[$__rate_interval])) / (sum(rate(persistence_batch_size_count{HUBS}[$__rate_interval])) > 0)", "writes"}}},
			{title: "Writes given up", unit: "none", queries: []query{{"increase(persistence_too_slow_total{HUBS}[$__rate_interval])", "{{instance}}"}}},
		}},
		{"Standbys and disk", []panel{
			{title: "Lag of standbys", unit: "s", limit: 30, queries: []query{{"max by (replica) (database_replica_lag_seconds{HUBS})", "{{replica}}"}}},
			{title: "Disk of the node", unit: "percent", limit: 85, about: "The file system of the data folder: on SQLite that of the database. That of a Postgres server is measured there.", queries: each("system_disk_usage_percent")},
			{title: "Size of the database", unit: "bytes", queries: []query{whole("database_size_bytes", "size")}},
			{title: "Write-ahead log of SQLite", unit: "bytes", queries: each("sqlite_wal_bytes")},
			{title: "Rows deleted by retention", unit: "ops", queries: []query{{"sum by (job) (rate(job_rows_deleted_total{HUBS}[$__rate_interval]))", "{{job}}"}}},
			{title: "Rooms in a new epoch", unit: "none", queries: []query{{"sum by (cause) (increase(epoch_rotations_total{HUBS}[$__rate_interval]))", "{{cause}}"}}},
		}},
	}}
}

func security() board {
	return board{"bellhop-security", "Bellhop: security", "Refusals, failed sign-ins and what else may be an attack.", []row{
		{"Now", []panel{
			{title: "Failed sign-ins", unit: "none", kind: "stat", queries: []query{{`sum(increase(security_events_total{HUBS,kind="login_failed"}[1h]))`, "an hour"}}},
			{title: "Bursts of refusals", unit: "none", kind: "stat", limit: 1, queries: []query{{`sum(increase(security_events_total{HUBS,kind="access_denied_burst"}[1h]))`, "an hour"}}},
			{title: "Days left of the certificate", unit: "d", kind: "stat", limit: 14, below: true, queries: []query{{"min(probe_ssl_earliest_cert_expiry - time()) / 86400", "days"}}},
		}},
		{"Events", []panel{
			{title: "Security events", unit: "ops", queries: rate("security_events_total", "kind")},
			{title: "Tokens and signatures", unit: "none", queries: []query{{`sum by (kind) (increase(security_events_total{HUBS,kind=~"refresh_reuse|bad_webhook_signature|payment_of_another_order"}[$__rate_interval]))`, "{{kind}}"}}},
			{title: "Refused by limits, and pages of other sites", unit: "ops", queries: []query{{`sum by (kind) (rate(security_events_total{HUBS,kind=~"rate_limited|origin_refused"}[$__rate_interval]))`, "{{kind}}"}}},
			{title: "Refusals by route", unit: "reqps", queries: []query{{`topk(8, sum by (endpoint, status) (rate(http_requests_total{HUBS,status=~"4.."}[$__rate_interval])))`, "{{status}} {{endpoint}}"}}},
			{title: "Password hashes", unit: "none", about: "They queue when many people sign in at once.", queries: []query{{"sum(password_hashes_running{HUBS})", "running"}, {"max(password_hashes_peak{HUBS})", "most so far"}}},
			{title: "Connections that are no requests", unit: "cps", queries: []query{{`sum by (reason) (rate(http_connections_refused_total{HUBS,reason=~"malformed|head_timeout|head_too_large|too_many_connections"}[$__rate_interval]))`, "{{reason}}"}}},
		}},
	}}
}
