// What the page changes, each after a confirmation: it pauses a Space, and releases a lease that was left behind.
"use strict";

function confirmAction({ title, text, warning, label }, act) {
  const dialog = find("confirm");
  find("confirm-title").textContent = title;
  find("confirm-text").textContent = text;
  find("confirm-runs").hidden = !warning;
  find("confirm-runs").textContent = warning ?? "";
  find("confirm-yes").textContent = label;
  // A property, so that an action whose dialog was left with the Escape key is never run later.
  dialog.querySelector("form").onsubmit = (event) => {
    if (event.submitter?.value === "yes") act();
  };
  dialog.showModal();
}

function send(path, fleet, repoId) {
  return requestJson(ofConnection(path, fleet), {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-HF-Spaces-Page": "1" },
    body: JSON.stringify({ repo_id: repoId }),
  });
}

function confirmPause(fleet, space) {
  const price = space.cost > 0 ? ` and costs about ${usd.format(space.cost)} per hour` : "";
  const working = (space.runs ?? []).filter((run) => run.state === "running" || run.state === "queued");
  confirmAction(
    {
      title: `Pause ${space.repo_id}?`,
      text: `The Space is in stage ${space.stage}${price}. A paused Space answers no visitors and costs ` +
        "nothing until it is restarted.",
      warning: working.length ? `DAG runs that work on it now: ${working.map((run) => run.dag_id).join(", ")}.` : null,
      label: "Pause",
    },
    () => pause(fleet, space),
  );
}

async function pause(fleet, space) {
  report(`Pausing ${space.repo_id} …`);
  try {
    const answer = await send("api/pause", fleet, space.repo_id);
    Object.assign(space, answer.space);
    fill(fleet);
    showTotal();
    report(`${space.repo_id} is ${space.stage}.`);
    find("search").focus();
  } catch (error) {
    report(`${space.repo_id} was not paused. ${error.message}`);
  }
}

function confirmRelease(fleet, lease) {
  confirmAction(
    {
      title: `Release ${lease.repo_id}?`,
      text: `The lease was left behind: ${LEASE_STATES[lease.state]}. The Space is restored to the hardware and ` +
        "the sleep time that it had before the lease, and the lease ends.",
      label: "Release",
    },
    () => release(fleet, lease),
  );
}

async function release(fleet, lease) {
  report(`Releasing ${lease.repo_id} …`);
  try {
    const { released } = await send("api/release", fleet, lease.repo_id);
    fleet.leases.delete(lease.repo_id);
    addLeases(fleet);
    fill(fleet);
    report(`The lease of ${lease.repo_id} is released: the Space is set to ${released.hardware}.`);
    find("search").focus();
    await load(fleet);
  } catch (error) {
    report(`The lease of ${lease.repo_id} was not released. ${error.message}`);
    await loadLeases(fleet);
  }
}
