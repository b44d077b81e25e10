// A camera or a chosen video: pictures in a video element, with their times.
//
// To open one takes a while; if `over()` by then, that is null. What is opened
// has start(handlers) and close(). It calls
//   picture(video, time): the element shows a new picture, of a time (seconds);
//   restart(): the next picture belongs to another place of the video;
//   ended(message): there are no more pictures; '' if that is well.

const CAMERA = {video: {width: {ideal: 640}}, audio: false};

const REFUSALS = {
  NotAllowedError: 'The camera was not allowed; allow it in the browser’s ' +
    'settings for this page, or choose a video.',
  NotFoundError: 'There is no camera; choose a video.',
  NotReadableError: 'The camera cannot be read; another program may use it.',
};

// Throws an Error with a sentence if there is no camera to see.
export async function openCamera(video, over) {
  if (!window.isSecureContext) {
    throw new Error(
      'Browsers give the camera only to pages of https:// or of localhost, ' +
      `and this one is of ${location.origin}; choose a video, or open it by ` +
      'a tunnel (ssh -L) or https.');
  }
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error('This browser has no cameras; choose a video.');
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(CAMERA);
  } catch (error) {
    throw new Error(REFUSALS[error.name] ??
      `The camera cannot be opened: ${error.message}`);
  }
  const [track] = stream.getVideoTracks();
  if (over()) {
    track.stop();
    return null;
  }
  video.controls = false;
  video.srcObject = stream;
  let first = null;
  // The clock of the page: a camera's pictures have no other time.
  const clock = (now, metadata) => {
    const time = (metadata?.captureTime ?? now) / 1000;
    first ??= time;
    return time - first;
  };
  return opened(video, clock, () => {
    track.stop();
    video.srcObject = null;
  }, (handlers) => {
    track.onended = () => handlers.ended('The camera was taken away.');
  });
}

// Throws an Error with a sentence if the browser cannot play the file.
export async function openFile(video, file, over) {
  const url = URL.createObjectURL(file);
  const loaded = new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error(
      `The browser cannot play ${file.name}; choose another video, ` +
      'such as an MP4 of H.264 or a WebM.'));
  });
  video.srcObject = null;
  video.src = url;
  try {
    await loaded;
  } catch (error) {
    URL.revokeObjectURL(url);
    throw error;
  }
  if (over()) {
    URL.revokeObjectURL(url);
    return null;
  }
  if (!video.videoWidth) throw new Error(`${file.name} has no pictures.`);
  video.controls = true;
  // The video's own clock, however fast it is played.
  const clock = (now, metadata) => metadata?.mediaTime ?? video.currentTime;
  return opened(video, clock, () => {
    video.onended = video.onseeking = video.onseeked = video.onerror = null;
    video.pause();
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(url);
  }, (handlers) => {
    video.onended = () => handlers.ended('');
    video.onseeking = () => handlers.restart();
    // While it is paused, no other picture comes after one that was passed over.
    video.onseeked = () => {
      if (video.paused) handlers.picture(video, video.currentTime);
    };
    video.onerror = () => handlers.ended(`${file.name} is damaged.`);
  });
}

function opened(video, clock, release, bind) {
  let over = false;
  return {
    start(handlers) {
      bind(handlers);
      eachPicture(video, clock, () => over, handlers.picture);
      video.play().catch(() => {});  // a click plays it
    },
    close() {
      over = true;
      release();
    },
  };
}

// Calls picture(video, time) for every new one, until `over()`.
function eachPicture(video, clock, over, picture) {
  // Browsers without the former show a picture twice now and then.
  const next = video.requestVideoFrameCallback?.bind(video) ??
    requestAnimationFrame;
  const taken = (now, metadata) => {
    if (over()) return;
    const isNew = !video.paused || metadata;
    // While it seeks, it may still show the place before.
    if (isNew && !video.seeking) picture(video, clock(now, metadata));
    next(taken);
  };
  next(taken);
}

// Draws the current picture of a video on a canvas whose shorter side has so
// many pixels, or as many as the video; returns the canvas.
export function draw(video, shortSide, canvas) {
  const {videoWidth, videoHeight} = video;
  const scale = Math.min(1, shortSide / Math.min(videoWidth, videoHeight));
  canvas.width = Math.round(videoWidth * scale);
  canvas.height = Math.round(videoHeight * scale);
  const context = canvas.getContext('2d', {alpha: false});
  context.imageSmoothingQuality = 'high';
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  return canvas;
}
