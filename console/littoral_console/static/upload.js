/* Sends a publisher's repository: says what there is, sends what is missing, asks to adopt it.
   Where it cannot run, the form sends everything by itself. */
"use strict";

(() => {
  const OURS = /^(?:.*\/)?((?:metadata|targets|blobs)\/.+)$/;
  const METADATA = /^metadata\/[1-9][0-9]*\.(?!snapshot\.|timestamp\.)[a-z0-9-]+\.json$/;
  const MANIFEST = /^[0-9a-f]{64}\.manifest\.json$/;
  const BLOB = /^[0-9a-f]{64}$/;

  const hex = (buffer) => [...new Uint8Array(buffer)].map((b) => b.toString(16).padStart(2, "0")).join("");

  const nameOf = async (file) => {
    const found = OURS.exec(file.webkitRelativePath);
    if (found) return found[1];
    if (BLOB.test(file.name)) return `blobs/${file.name}`;
    if (MANIFEST.test(file.name)) {
      const manifest = JSON.parse(await file.text());
      return `targets/bundles/${manifest.model}/${manifest.release}/${file.name}`;
    }
    return `metadata/${file.name}`;
  };

  const isOurs = (name) =>
    METADATA.test(name) || (name.startsWith("targets/") && MANIFEST.test(name.split("/").at(-1))) ||
    (name.startsWith("blobs/") && BLOB.test(name.slice(6)));

  const offer = async (name, file) => ({
    name,
    size: file.size,
    sha256: name.startsWith("blobs/") ? name.slice(6) : hex(await crypto.subtle.digest("SHA-256", await file.arrayBuffer())),
  });

  const ask = (method, path, csrf, body, type, progress) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, `/api/v1/uploads${path}`);
    request.setRequestHeader("X-CSRF-Token", csrf);
    if (type) request.setRequestHeader("Content-Type", type);
    if (progress) request.upload.onprogress = (event) => progress(event.loaded);
    request.onerror = () => reject(new Error("the console does not answer; nothing was kept"));
    request.onload = () => {
      const text = request.responseText;
      if (request.status < 300) resolve(text ? JSON.parse(text) : null);
      else {
        let said = { code: String(request.status), error: "the console refused" };
        try { said = JSON.parse(text); } catch { /* no JSON: the status says it */ }
        reject(Object.assign(new Error(said.error), { code: said.code }));
      }
    };
    request.send(body);
  });

  const size = (bytes) => (bytes >= 1e6 ? `${(bytes / 1e6).toPrecision(3)} MB` : `${Math.ceil(bytes / 1e3)} kB`);

  const nothingOfOurs = (many) => {
    if (!many) return "there is no file in what was chosen";
    return `${many === 1 ? "the file is not" : `none of the ${many} files is`} of a publisher's repository`;
  };

  const show = (place, good, ...parts) => {
    place.className = `result ${good ? "good" : "bad"}`;
    place.replaceChildren(...parts);
  };

  const adopted = (releases) => releases.flatMap((r, i) => {
    const link = document.createElement("a");
    link.href = `/releases/${encodeURIComponent(r.model)}/${r.release}`;
    link.textContent = `${r.model} r${r.release}`;
    return i ? [", ", link] : [link];
  });

  const send = async (form, files) => {
    const csrf = form.elements.csrf.value;
    const bar = form.querySelector("[data-progress]");
    const result = form.querySelector("[data-result]");
    result.replaceChildren();
    const named = new Map();
    for (const file of files) {
      const name = await nameOf(file);
      if (isOurs(name)) named.set(name, file);
    }
    if (!named.size) throw new Error(`${nothingOfOurs(files.length)}; choose the folder that littoral publish wrote`);
    const offers = await Promise.all([...named].map(([name, file]) => offer(name, file)));
    const begun = await ask("POST", "", csrf, JSON.stringify({ files: offers }), "application/json");
    const whole = begun.missing.reduce((sum, name) => sum + named.get(name).size, 0) || 1;
    bar.hidden = false;
    try {
      let sent = 0;
      for (const name of begun.missing) {
        const path = name.split("/").map(encodeURIComponent).join("/");
        await ask("PUT", `/${begun.id}/files/${path}`, csrf, named.get(name), "application/octet-stream",
          (loaded) => { bar.value = (sent + loaded) / whole; });
        sent += named.get(name).size;
        bar.value = sent / whole;
      }
      return [await ask("POST", `/${begun.id}/commit`, csrf), begun.missing.length, named.size];
    } catch (error) {
      await ask("DELETE", `/${begun.id}`, csrf).catch(() => null);
      throw error;
    } finally {
      bar.hidden = true;
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("[data-upload]");
    if (!form || !window.crypto?.subtle) return;
    const inputs = [...form.querySelectorAll("input[type=file]")];
    const chosen = () => inputs.flatMap((input) => [...input.files]);
    form.addEventListener("change", () => {
      const files = chosen();
      const total = files.reduce((sum, file) => sum + file.size, 0);
      form.querySelector("[data-chosen]").textContent = files.length ? `${files.length} files, ${size(total)}` : "";
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const result = form.querySelector("[data-result]");
      const button = form.querySelector("button[type=submit]");
      button.disabled = true;
      try {
        const [releases, sent, all] = await send(form, chosen());
        const what = releases.length ? ["Believed and kept: ", ...adopted(releases)] : ["Believed. Nothing in it is new"];
        show(result, true, ...what, `. ${sent} of ${all} files were sent.`);
        form.reset();
        form.querySelector("[data-chosen]").textContent = "";
      } catch (error) {
        const code = document.createElement("code");
        code.textContent = error.code || "usage";
        show(result, false, `${error.message} `, code);
      } finally {
        button.disabled = false;
      }
    });
  });
})();
