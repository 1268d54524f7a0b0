"""Places orders at two hubs in turn and compares what one takes: orders.py ORDERS PORT PORT"""
import http.client
import json
import statistics
import sys
import time

BOUND = 1.3
PASSWORD = "a password for load tests"


class Hub:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        merchant, self.customer = self.person("merchant"), self.person("customer")
        place = {"lat": 38.7, "lng": -9.1}
        business = {"name": "Soup Kitchen", "location": place, "zone": "lisbon", "currency": "EUR"}
        self.business = self.post("/businesses", business, merchant)["id"]
        item = {"sku": "soup", "name": "Soup", "price_minor": 250, "available": True}
        self.post(f"/businesses/{self.business}/menu/items", item, merchant)
        self.times = []

    def post(self, path, body, token=None):
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        self.connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            sys.exit(f"{path}: {answer.status} {text.decode()}")
        return json.loads(text)

    def person(self, role):
        account = {"email": f"{role}@load.test", "password": PASSWORD}
        self.post("/auth/signup", account | {"role": role, "name": role})
        return self.post("/auth/login", account)["access_token"]

    def order(self):
        body = {
            "business_id": self.business,
            "fulfilment": "pickup",
            "payment": "cash",
            "items": [{"sku": "soup", "qty": 1}],
            "customer": {"name": "Zoe", "phone": "+351 900 000 000"},
        }
        began = time.perf_counter()
        self.post("/orders", body, self.customer)
        self.times.append((time.perf_counter() - began) * 1000)


hubs = [Hub(int(port)) for port in sys.argv[2:4]]
for number in range(int(sys.argv[1])):
    # Neither is always the first.
    for hub in hubs if number % 2 else reversed(hubs):
        hub.order()
medians = [statistics.median(hub.times) for hub in hubs]
ratio = medians[0] / medians[1]
print(f"an order takes {medians[0]:.2f} ms as installed and {medians[1]:.2f} ms with jit=off: {ratio:.2f} times, at most {BOUND}")
sys.exit(ratio > BOUND)
