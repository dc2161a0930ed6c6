
// The served page: a video is chosen, dropped or recorded, sent, and its prediction is shown.
(() => {
  const at = (id) => document.getElementById(id);
  const make = (tag, fields = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), fields);
    element.append(...children);
    return element;
  };
  const drop = at("drop");
  const limits = at("video").dataset;
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  const hidden = (id, is) => { at(id).hidden = is; };
  let current = null; // the request that is under way
  let preview = null; // the address of the video that is shown

  // name: of the video, which stays as it is written where the sentence begins with it.
  const fail = (sentence, name) => {
    const first = name && sentence.startsWith(name) ? sentence[0] : sentence[0].toUpperCase();
    at("sentence").textContent = first + sentence.slice(1) + (/[.!?]$/.test(sentence) ? "" : ".");
    hidden("error", false);
  };
  const busy = (is) => {
    hidden("doing", !is);
    drop.inert = is;
  };
  const say = (text, share) => {
    if (at("state").textContent !== text) at("state").textContent = text;
    hidden("progress", share === undefined);
    if (share !== undefined) at("progress").value = share;
  };

  // What the server says of a request that waits.
  const follow = (request) => {
    const began = Date.now();
    const look = async () => {
      if (current !== request) return;
      at("elapsed").textContent = `${Math.round((Date.now() - began) / 1000)} s`;
      try {
        const answer = await fetch(`/api/queue?ticket=${request.ticket}`);
        if (current !== request) return;
        const place = await answer.json();
        if (place.state === "waiting") say(`Waiting: ${place.ahead} ${place.ahead === 1 ? "video" : "videos"} before this one`);
        else if (place.state === "running") say("Predicting");
      } catch { /* the request itself says what is wrong */ }
      request.timer = setTimeout(look, 500);
    };
    request.timer = setTimeout(look, 100);
  };

  const send = (file, name) => {
    if (current) { fail("one video at a time; wait for this one, or cancel it"); return; }
    for (const id of ["error", "result"]) hidden(id, true);
    if (file.size > Number(limits.maxBytes)) {
      fail(`${name} has ${megabytes(file.size)}, but this server takes at most ${limits.maxMb} MB (--max_upload_mb); choose a shorter or smaller one`, name);
      return;
    }
    if (!file.size) { fail(`${name} is empty; choose another file`, name); return; }
    const numbers = crypto.getRandomValues(new Uint8Array(16));
    const request = new XMLHttpRequest();
    request.ticket = [...numbers].map((one) => one.toString(16).padStart(2, "0")).join("");
    current = request;
    const done = () => { current = null; clearTimeout(request.timer); busy(false); };
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) say(`Uploading ${name}: ${Math.floor((100 * event.loaded) / event.total)} %`, event.loaded / event.total);
    });
    request.upload.addEventListener("load", () => { say("Waiting"); follow(request); });
    request.addEventListener("load", () => {
      done();
      let answer;
      try { answer = JSON.parse(request.responseText); } catch { answer = { error: `the server answers with status ${request.status}` }; }
      if (request.status === 200) show(answer, file); else fail(answer.error, name);
    });
    request.addEventListener("error", () => {
      done();
      fail("the server does not answer, or has ended the connection; look whether it runs, and try again");
    });
    request.addEventListener("abort", () => { done(); at("file").focus(); });
    at("elapsed").textContent = "";
    busy(true);
    say(`Uploading ${name}: 0 %`, 0);
    request.open("POST", `/api/predict?page=1&ticket=${request.ticket}&name=${encodeURIComponent(name)}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(file);
    at("cancel").focus();
  };

  const show = (answer, file) => {
    const { html, ...found } = answer;
    const result = at("result");
    result.innerHTML = html; // of our own template, which escapes what is in it
    if (preview) URL.revokeObjectURL(preview);
    preview = URL.createObjectURL(file);
    const player = make("video", { src: preview, controls: true, muted: true, playsInline: true, className: "preview" });
    player.setAttribute("aria-label", "The video");
    player.addEventListener("error", () => player.remove()); // a container that this browser does not play
    result.querySelector("h2").after(make("div", { className: "pair" }, player, result.querySelector("table")));
    const whole = JSON.stringify(found, null, 1);
    const short = JSON.stringify(found, (key, value) =>
      ((key === "jpeg" || key === "attention") && value ? `${value.slice(0, 12)}\u2026 (${value.length} characters)` : value), 1);
    const link = make("a", { textContent: "Download", download: `${found.video}.json`, className: "button" });
    link.href = URL.createObjectURL(new Blob([whole], { type: "application/json" }));
    const seconds = (found.seconds.read + found.seconds.net).toFixed(1);
    const clips = found.clips.length;
    result.append(
      make("p", { className: "small muted", textContent: `${clips} ${clips === 1 ? "clip" : "clips"}, ${seconds} s.` }),
      make("details", {}, make("summary", { textContent: "JSON" }), make("p", {}, link),
        make("div", { className: "long", tabIndex: 0 }, make("pre", { textContent: short }))),
    );
    result.hidden = false;
    result.dispatchEvent(new CustomEvent("vmz:added", { bubbles: true }));
    result.focus({ preventScroll: true });
    result.scrollIntoView({ block: "start" });
  };

  at("cancel").addEventListener("click", () => current?.abort());
  at("file").addEventListener("change", () => {
    const [file] = at("file").files;
    if (file) send(file, file.name);
    at("file").value = ""; // the same one may be chosen again
  });

  // Dropped anywhere on the page: a browser would else open the file.
  const bearing = (event) => [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!bearing(event)) return;
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    if (!bearing(event)) return;
    event.preventDefault();
    drop.classList.remove("over");
    const files = event.dataTransfer.files;
    if (files.length > 1) fail("one video at a time; drop a single file");
    else if (files.length) send(files[0], files[0].name);
  });

  // Recorded with the camera, where the browser can. It can on this machine and over https, not over plain http.
  const kind = ["video/webm;codecs=vp8", "video/webm", "video/mp4"].find((one) => window.MediaRecorder?.isTypeSupported(one));
  if (kind && navigator.mediaDevices?.getUserMedia) hidden("record", false);
  let camera = null;
  let recorder = null;
  const close = () => {
    clearInterval(recorder?.timer);
    for (const track of camera?.getTracks() ?? []) track.stop();
    camera = recorder = null;
    at("viewfinder").srcObject = null;
    hidden("camera", true);
    hidden("drop", false);
  };
  const record = () => {
    const parts = [];
    const own = recorder = new MediaRecorder(camera, { mimeType: kind });
    const began = Date.now();
    own.addEventListener("dataavailable", (event) => parts.push(event.data));
    own.addEventListener("stop", () => {
      if (recorder !== own) return; // cancelled
      close();
      send(new Blob(parts, { type: kind }), `recording.${kind.startsWith("video/mp4") ? "mp4" : "webm"}`);
    });
    own.start(250);
    at("start").textContent = "Stop and predict";
    own.timer = setInterval(() => {
      const seconds = (Date.now() - began) / 1000;
      at("recorded").textContent = `${seconds.toFixed(1)} s of at most ${limits.seconds} s`;
      if (seconds >= Number(limits.seconds)) own.stop();
    }, 100);
  };
  at("record").addEventListener("click", async () => {
    if (current) return;
    for (const id of ["error", "result"]) hidden(id, true);
    if (camera) return;
    try {
      camera = await navigator.mediaDevices.getUserMedia({ video: true, audio: false });
    } catch (error) {
      fail(error.name === "NotFoundError" ? "this machine has no camera" : "the browser may not use the camera; allow it for this page, and try again");
      return;
    }
    at("viewfinder").srcObject = camera;
    at("viewfinder").play();
    at("start").textContent = "Start";
    at("recorded").textContent = `at most ${limits.seconds} s`;
    hidden("drop", true);
    hidden("camera", false);
    at("start").focus();
  });
  at("start").addEventListener("click", () => { if (recorder) recorder.stop(); else if (camera) record(); });
  at("cancel-recording").addEventListener("click", () => { close(); at("record").focus(); });
})();
