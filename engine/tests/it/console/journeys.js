// Journeys through the console in a real browser: Chromium, driven by playwright-core. One a call:
//
//   node journeys.js <journey>, with BASE (the server's address), CHROMIUM and what the journey needs in the environment
//
// A journey fails by throwing. Whatever it does, there must be no error in the browser's console, no request to anywhere
// else than the server, and no dialog that a page opened.
"use strict";

const { chromium } = require("playwright-core");

const { BASE, CHROMIUM, RECEIVER, PORTAL, OTHER, IMAGES, KEY } = process.env;
const FRAMER = process.env.FRAMER;

const journeys = {};
/** What went wrong in any page of this run. */
const complaints = [];
/** Errors of the browser that a journey brings about on purpose: each a part of its text. */
const expected = [];

function assert(condition, words) {
  if (!condition) throw new Error(words);
}

/** Looks again and again until it holds. */
async function until(words, holds, milliseconds = 30000) {
  const end = Date.now() + milliseconds;
  for (;;) {
    if (await holds()) return;
    if (Date.now() > end) throw new Error(`not so within ${milliseconds} ms: ${words}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  context.setDefaultTimeout(30000);
  await watch(context);
  return context.newPage();
}

async function watch(context) {
  const allowed = [BASE, FRAMER].filter(Boolean).map((url) => new URL(url).origin);
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.protocol !== "about:" && !allowed.includes(url.origin)) {
      complaints.push(`a request to ${url.origin}`);
    }
  });
  context.on("console", (message) => {
    if (message.type() === "error" && !expected.some((text) => message.text().includes(text))) {
      complaints.push(`the browser says: ${message.text()}`);
    }
  });
  context.on("weberror", (error) => complaints.push(`a script failed: ${error.error()}`));
  context.on("dialog", (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
}

async function api(method, path, body) {
  const headers = { "content-type": "application/json" };
  if (KEY) headers.authorization = `Bearer ${KEY}`;
  const answer = await fetch(`${BASE}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

const publish = (payload = { n: 1 }, eventType = "invoice.paid") =>
  api("POST", "/app/acme/msg", { eventType, payload });

/** The text of an element of the page. */
const text = (page, selector) => page.locator(selector).first().innerText();

// From "add new endpoint" to "monitor for success", as the people of a customer do it.
journeys.add_endpoint = async (browser) => {
  const page = await open(browser);
  await page.goto(`${BASE}/`);
  await page.getByRole("link", { name: "Applications", exact: true }).click();
  await page.getByRole("link", { name: "acme" }).first().click();
  await page.getByRole("link", { name: "Add new endpoint" }).click();
  await page.getByLabel("URL", { exact: true }).fill(RECEIVER);
  await page.getByLabel("Description").fill("the shop's back office");
  await page.getByRole("checkbox", { name: /invoice\.paid/ }).check();
  await page.getByRole("button", { name: "Try it before saving" }).click();
  await page.getByRole("heading", { name: "It works" }).waitFor();
  assert((await page.getByLabel("URL", { exact: true }).inputValue()) === RECEIVER, "what was typed stays");
  assert(await page.getByRole("checkbox", { name: /invoice\.paid/ }).isChecked(), "what was ticked stays");
  await page.getByRole("button", { name: "Save the endpoint" }).click();
  await page.getByText("Created.").waitFor();
  assert((await text(page, "h1")) === RECEIVER, "its page is shown");
  const endpoint = page.url();
  // A test event, at once.
  await page.getByRole("link", { name: "Send a test event" }).click();
  await page.getByLabel("Event type").fill("invoice.paid");
  await page.getByRole("button", { name: "Take the example" }).click();
  await until("an example", async () => (await page.getByLabel("Payload (JSON)").inputValue()).includes("invoice.paid"));
  await page.getByRole("button", { name: "Send it to the endpoint now" }).click();
  await page.getByRole("heading", { name: "It works" }).waitFor();
  assert((await text(page, "#result")).includes("webhook-signature"), "what was sent is shown");
  // And a real one, followed on its own page.
  await page.getByLabel("Payload (JSON)").fill('{"amount": 12.50}');
  await page.getByRole("button", { name: "Publish it" }).click();
  await page.getByText("Published.").waitFor();
  await page.locator("#deliveries .pill.ok").waitFor();
  assert((await page.locator("main").innerText()).includes("12.50"), "the payload is shown as it was typed");
  // Monitor for success.
  await page.goto(endpoint);
  await until("a success rate", async () => (await text(page, "#recent")).includes("100 %"));
  await page.locator("#deliveries .pill.ok").first().waitFor();
  // Its secret, revealed on request alone.
  assert((await page.getByLabel("The signing secret").count()) === 0, "the secret is not shown before");
  await page.getByRole("button", { name: "Reveal it" }).click();
  const secret = await page.getByLabel("The signing secret").inputValue();
  assert(secret.startsWith("whsec_"), "the secret is shown");
  // Changed, paused, resumed, removed.
  await page.getByRole("link", { name: "Edit", exact: true }).click();
  await page.getByLabel("Description").fill("another office");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("another office").waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.locator("#standing .pill.off").waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.locator("#standing .pill.ok").first().waitFor();
  await page.getByText("Remove the endpoint…").click();
  await page.getByRole("button", { name: "Remove the endpoint" }).click();
  await page.getByText("Deleted.").waitFor();
};

// What failed is found, understood and put right: from the row, several at once, and all since a time.
journeys.repair = async (browser) => {
  const page = await open(browser);
  await page.goto(`${BASE}/console/app/acme/activity?state=exhausted`);
  await until("what failed is listed", async () => {
    await page.reload();
    return (await page.locator("tbody tr").count()) >= 4;
  });
  assert(!(await page.locator("#rows").innerText()).includes("delivered"), "the filter holds");
  await page.locator("tbody tr .pill.bad").last().click();
  await page.getByRole("heading", { name: /HTTP 500/ }).waitFor();
  const detail = await page.locator("main").innerText();
  assert(detail.includes("Request") && detail.includes("Response") && detail.includes("first byte"), detail);
  await page.goBack();
  // The receiver is well again.
  await fetch(`${process.env.SWITCH}`, { method: "POST" });
  await page.getByRole("button", { name: /^Retry/ }).first().click();
  await page.getByText("Sent again: the attempt is made now.").waitFor();
  assert(page.url().includes("state=exhausted"), "the filter stands in the address still");
  const boxes = page.locator("tbody input[type=checkbox]");
  await until("one less", async () => {
    await page.reload();
    return (await boxes.count()) === 3;
  });
  await boxes.nth(0).check();
  await boxes.nth(1).check();
  await page.getByRole("button", { name: "Send the chosen ones again" }).click();
  await page.getByText("Sent again: the attempts are made now.").waitFor();
  await until("one is left", async () => {
    await page.reload();
    return (await boxes.count()) === 1;
  });
  await page.locator("tbody td[data-label=Endpoint] a").click();
  await page.getByLabel("Since (UTC)").fill("nonsense");
  expected.push("422");
  await page.getByRole("button", { name: "Send what failed" }).click();
  await page.getByText("it must be a time such as").waitFor();
  assert((await page.getByLabel("Since (UTC)").inputValue()) === "nonsense", "what was typed stays");
  await page.getByLabel("Since (UTC)").fill("1h");
  await page.getByRole("button", { name: "Send what failed" }).click();
  await page.locator("#progress .pill.ok").waitFor();
  assert(/Sent again\s*1\b/.test(await text(page, "#progress")), await text(page, "#progress"));
  await page.goto(`${BASE}/console/app/acme/activity?state=delivered`);
  await until("all arrived", async () => {
    await page.reload();
    return (await page.locator("tbody tr").count()) >= 4;
  });
};

// The link of application A shows A, and nothing of B.
journeys.portal = async (browser) => {
  const page = await open(browser);
  await page.goto(PORTAL);
  await page.getByRole("heading", { name: "Endpoints" }).waitFor();
  assert(!page.url().includes("key"), "the key does not stay in the address");
  const seen = [];
  const look = async (path, status) => {
    const answer = await page.goto(`${BASE}${path}`);
    seen.push(`${path}: ${answer.status()}`);
    const body = await page.content();
    assert(!body.includes("Globex") && !body.includes("globex.example"), `${path} tells of the other one`);
    assert(answer.status() === status, `${path} is answered ${answer.status()}`);
  };
  const { app, endpoint, message, attempt } = JSON.parse(OTHER);
  const own = new URL(page.url()).pathname;
  for (const path of ["", "/activity", "/test", "/alert", "/event-type", "/verify", "/endpoint/new"]) {
    await look(own + path, 200);
  }
  expected.push("404", "401", "403");
  for (const name of [app, "globex"]) {
    for (const path of [
      "",
      "/activity",
      "/test",
      "/alert",
      "/endpoint/new",
      `/endpoint/${endpoint}`,
      `/endpoint/${endpoint}/edit`,
      `/msg/${message}`,
      `/msg/${message}/attempt/${attempt}`,
    ]) {
      await look(`/portal/app/${name}${path}`, 404);
    }
  }
  // Its ids below the own application.
  await look(`${own}/endpoint/${endpoint}`, 404);
  await look(`${own}/msg/${message}`, 404);
  await look(`${own}/msg/${message}/attempt/${attempt}`, 404);
  await look(`${own}/activity?endpoint=${endpoint}`, 404);
  await look(`${own}/activity?message=${message}`, 200);
  for (const path of ["/settings", "/audit", "/key", "/app", "/task"]) await look(`/portal${path}`, 404);
  // Not the other door either.
  await page.goto(`${BASE}/console`);
  assert(page.url().includes("/console/login"), page.url());
  await page.goto(`${BASE}${own}`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  await page.goto(PORTAL);
  await page.getByText("This link is not valid any more, or never was.").waitFor();
};

// Pages change by themselves, and nothing that somebody is at work with is taken away.
journeys.live = async (browser) => {
  const overview = await open(browser);
  await overview.goto(`${BASE}/console`);
  const sign = overview.locator("#livesign:not(.lost)");
  await sign.waitFor();
  const tail = await open(browser);
  await tail.goto(`${BASE}/console/app/acme/activity?tail=1`);
  await tail.locator("#livesign:not(.lost)").waitFor();
  const before = await tail.locator("tbody tr").count();
  const message = await publish({ live: true });
  await tail.locator(`tbody tr:has-text("${message.id}")`).waitFor();
  assert((await tail.locator("tbody tr").count()) > before, "a row more");
  await tail.locator(`tbody tr:has-text("${message.id}") input`).check();
  const another = await publish({ live: true });
  await tail.locator(`tbody tr:has-text("${another.id}")`).waitFor();
  assert(await tail.locator(`tbody tr:has-text("${message.id}") input`).isChecked(), "a tick stays");
  await until("throughput moves", async () => !(await text(overview, "#figures .figure dd")).startsWith("0/"));
  // An endpoint that fails is locked out before one's eyes, and recovers.
  const row = await open(browser);
  await row.goto(`${BASE}/console/app/acme`);
  await fetch(`${process.env.SWITCH}?to=500`, { method: "POST" });
  for (let n = 0; n < 6; n += 1) await publish({ n });
  await row.locator("tbody .pill.bad", { hasText: "locked out" }).waitFor();
  await overview.locator("#matters", { hasText: "locked out" }).waitFor();
  await fetch(`${process.env.SWITCH}?to=204`, { method: "POST" });
  await row.locator("tbody .pill.ok", { hasText: "active" }).waitFor();
  await until("nothing of it is left", async () => !(await text(overview, "#matters")).includes("after failing many"));
};

// Without JavaScript everything can be read and done.
journeys.without_script = async (browser) => {
  const page = await open(browser, { javaScriptEnabled: false });
  await page.goto(`${BASE}/console`);
  await page.getByLabel("Key").fill("wrong key");
  expected.push("401");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("neither a key that is valid").waitFor();
  await page.getByLabel("Key").fill(KEY);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.goto(`${BASE}/console/app/acme/endpoint/new`);
  await page.getByLabel("URL", { exact: true }).fill("ftp://nonsense");
  expected.push("422");
  await page.getByRole("button", { name: "Save the endpoint" }).click();
  await page.locator("#f-url-problem").waitFor();
  await page.getByLabel("URL", { exact: true }).fill(RECEIVER);
  await page.getByRole("button", { name: "Save the endpoint" }).click();
  await page.getByText("Created.").waitFor();
  await page.getByText("Replace it…").click();
  await page.getByRole("button", { name: "Replace the secret" }).click();
  await page.getByText("The secret was replaced.").waitFor();
  const link = new URL(PORTAL);
  await page.goto(`${BASE}/portal`);
  await page.getByLabel("Your link").fill(link.href);
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByRole("heading", { name: "Endpoints" }).waitFor();
};

/** Every kind of page, with something on it. */
async function pages() {
  const app = (await api("GET", "/app/acme")).id;
  const endpoint = (await api("GET", "/app/acme/endpoint")).data[0].id;
  const endpoints = (await api("GET", "/app/acme/endpoint")).data;
  // One that was answered with an error says the most.
  let attempt = null;
  for (const { id } of endpoints) {
    const failed = await api("GET", `/app/acme/attempt/endpoint/${id}?status_code_class=500&limit=1`);
    attempt ??= failed.data[0];
  }
  if (!attempt) {
    const delivery = (await api("GET", "/app/acme/delivery?limit=1")).data[0];
    attempt = { msgId: delivery.msgId, id: delivery.lastAttempt.id };
  }
  const below = (path) => `/console/app/${app}${path}`;
  return {
    overview: "/console",
    applications: "/console/app",
    endpoints: below(""),
    endpoint: below(`/endpoint/${endpoint}`),
    "new-endpoint": below("/endpoint/new"),
    "edit-endpoint": below(`/endpoint/${endpoint}/edit`),
    activity: below("/activity"),
    message: below(`/msg/${attempt.msgId}`),
    attempt: below(`/msg/${attempt.msgId}/attempt/${attempt.id}`),
    "test-bench": below(`/test?type=invoice.paid`),
    "application-settings": below("/settings"),
    "event-types": "/console/event-type",
    "event-type": "/console/event-type/one/invoice.paid",
    "edit-event-type": "/console/event-type/one/invoice.paid/edit",
    alerts: "/console/alert",
    "application-alerts": below("/alert"),
    tasks: "/console/task",
    keys: "/console/key",
    audit: "/console/audit",
    settings: "/console/settings",
    signatures: "/console/verify",
  };
}

// No page has what keeps somebody from using it, as far as a program can tell (axe-core, WCAG 2.2 A and AA).
journeys.accessibility = async (browser) => {
  const source = require("fs").readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  const found = [];
  const all = { ...(await pages()), "not-found": "/console/nowhere", portal: "/portal" };
  expected.push("404");
  for (const [colorScheme, viewport] of [
    ["light", { width: 1280, height: 860 }],
    ["dark", { width: 390, height: 844 }],
  ]) {
    const page = await open(browser, { colorScheme, viewport, bypassCSP: true });
    for (const [name, path] of Object.entries(all)) {
      await page.goto(`${BASE}${path}`);
      // Folds are looked into as well.
      await page.evaluate(() => document.querySelectorAll("details").forEach((fold) => (fold.open = true)));
      await page.evaluate(source);
      const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
      const { violations } = await page.evaluate((values) => axe.run({ runOnly: { type: "tag", values } }), tags);
      for (const { id, help, nodes } of violations) {
        found.push(`${name} (${colorScheme}): ${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) {
        const widest = await page.evaluate(() =>
          [...document.querySelectorAll("main *")]
            .filter((one) => !one.closest(".scroll, pre") && one.getBoundingClientRect().right > innerWidth)
            .map((one) => one.outerHTML.slice(0, 80))
            .slice(0, 3),
        );
        found.push(`${name} (${colorScheme}): ${wide} pixels wider than the window: ${widest.join(" | ")}`);
      }
    }
  }
  assert(found.length === 0, found.join("\n"));
};

// With the keyboard alone: the first tab leads past what every page has, and all buttons are reached.
journeys.keyboard = async (browser) => {
  const page = await open(browser);
  await page.goto(`${BASE}/console/app/acme`);
  await page.keyboard.press("Tab");
  assert((await page.evaluate(() => document.activeElement.textContent)) === "Skip to the page", "the skip link is first");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  const focused = await page.evaluate(() => document.activeElement.textContent);
  assert(focused === "Add new endpoint", `the first thing of the page is reached, not ${focused}`);
  await page.keyboard.press("Enter");
  await page.getByLabel("URL", { exact: true }).waitFor();
};

// Whatever is in names, URLs, payloads and answers: it is text.
journeys.hostile = async (browser) => {
  const page = await open(browser);
  const { id } = await publish({ "<img src=x onerror=alert(1)>": "</pre><script>alert(2)</script>", "\u202e": "\u0000\u001b[31m" });
  await page.goto(`${BASE}/console/app/acme/msg/${id}`);
  await page.locator("#deliveries .pill").first().waitFor();
  for (const path of Object.values(await pages())) {
    await page.goto(`${BASE}${path}`);
    const foreign = await page.evaluate(
      () => document.querySelectorAll("main script, main img, main iframe, main [onerror], a[href^='javascript:']").length,
    );
    assert(foreign === 0, `${path} has ${foreign} elements that nobody put there`);
  }
  // A megabyte in every field: refused with a page, and nothing else happens.
  expected.push("422", "413");
  const mebibyte = "<b>'\"&".repeat(150000).slice(0, 1 << 20);
  await page.goto(`${BASE}/console/app`);
  await page.getByLabel("Name").fill(mebibyte);
  await page.getByRole("button", { name: "Make an application" }).click();
  await page.locator("#name-problem").waitFor();
  await page.goto(`${BASE}/console/app/acme/test`);
  await page.getByLabel("Payload (JSON)").fill(JSON.stringify({ x: mebibyte.slice(0, 800000) }));
  await page.getByLabel("Event type").fill("invoice.paid");
  await page.getByRole("button", { name: "Publish it" }).click();
  await page.getByText("Published.").waitFor();
  await page.locator("details.fold summary").click();
};

// In a frame: where the configuration allows the origin, and nowhere else.
journeys.frame = async (browser) => {
  const page = await open(browser);
  expected.push("frame-ancestors");
  await page.goto(FRAMER);
  const allowed = process.env.FRAMED === "1";
  const shown = async () => {
    const frame = page.frames().find((one) => one.url().startsWith(BASE));
    return frame ? (await frame.locator("h1").count()) === 1 : false;
  };
  if (allowed) {
    await until("the frame shows the door", shown);
  } else {
    await page.waitForLoadState("load");
    assert(!(await shown()), "the frame shows nothing");
  }
};

// The people of a customer work in a frame of the product they know, over https: they stay signed in there.
journeys.framed_over_tls = async (browser) => {
  const page = await open(browser, { ignoreHTTPSErrors: true });
  await page.goto(FRAMER);
  const frame = page.frameLocator("iframe");
  await frame.getByRole("heading", { name: "Endpoints" }).waitFor();
  await frame.locator("tbody a.url").first().click();
  await frame.getByRole("button", { name: "Pause" }).click();
  await frame.getByText("Paused: it gets nothing until it is resumed.").waitFor();
  const cookie = (await page.context().cookies(BASE)).find(({ name }) => name === "__Host-ph-portal");
  assert(cookie && cookie.secure && cookie.httpOnly && cookie.sameSite === "None", JSON.stringify(cookie));
};

// Pictures of the pages for docs/images, and for whoever looks at them.
journeys.pictures = async (browser) => {
  // Where they are to be kept, there is something to see: a minute of traffic that comes and goes.
  const end = IMAGES ? Date.now() + 60000 : 0;
  for (let n = 0; Date.now() < end; n += 1) {
    const customer = ["Initech", "Globex", "Hooli"][n % 3];
    const count = Math.round(6 + 4 * Math.sin(n / 9) + 2 * Math.random());
    const one = (k) => publish({ invoice: `inv_${1000 + n * 10 + k}`, customer, amount: 129.5 + k, currency: "EUR" });
    await Promise.all([...Array(count).keys()].map(one));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const all = await pages();
  const desktop = { width: 1280, height: 860 };
  const phone = { width: 390, height: 844 };
  const wanted = [
    ["overview", desktop, "light"],
    ["overview", desktop, "dark"],
    ["overview", phone, "dark"],
    ["endpoints", desktop, "light"],
    ["endpoints", phone, "light"],
    ["endpoint", desktop, "light"],
    ["activity", desktop, "light"],
    ["activity", phone, "dark"],
    ["attempt", desktop, "dark"],
    ["message", desktop, "light"],
    ["new-endpoint", desktop, "light"],
    ["test-bench", desktop, "light"],
  ];
  for (const [name, viewport, colorScheme] of wanted) {
    const page = await open(browser, { viewport, colorScheme });
    const answer = await page.goto(`${BASE}${all[name]}`);
    assert(answer.ok(), `${name}: ${answer.status()}`);
    await page.locator("h1").first().waitFor();
    if (await page.locator("#livesign").count()) await page.locator("#livesign:not(.lost)").waitFor();
    const size = viewport === phone ? "phone" : "desktop";
    if (IMAGES) await page.screenshot({ path: `${IMAGES}/${name}-${size}-${colorScheme}.png` });
    await page.context().close();
  }
};

(async () => {
  const name = process.argv[2];
  assert(journeys[name], `there is no journey ${name}`);
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  try {
    await journeys[name](browser);
    assert(complaints.length === 0, complaints.join("\n"));
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  if (complaints.length) console.error(complaints.join("\n"));
  process.exit(1);
});
