// The camera: frames, one after the other.

const REASONS = {
  NotAllowedError: "The camera is not allowed. Allow it in the settings of this site.",
  NotFoundError: "No camera found.",
  NotReadableError: "The camera is used by another program.",
};

export class Camera {
  #video;
  #stream = null;

  constructor(video) {
    this.#video = video;
  }

  get isOn() {
    return this.#stream !== null;
  }

  /**
   * Starts the camera; on phones the one at the back.
   * @param {() => void} onEnded called if the camera goes away by itself
   */
  async start(onEnded) {
    if (!navigator.mediaDevices) {
      throw new Error("A browser gives the camera only to pages from https or from localhost.");
    }
    try {
      const video = { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 720 } };
      this.#stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
      this.#stream.getVideoTracks()[0].addEventListener("ended", onEnded);
      this.#video.srcObject = this.#stream;
      await this.#video.play();
    } catch (error) {
      this.stop();
      throw new Error(REASONS[error.name] ?? `The camera does not start: ${error.message}`);
    }
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = this.#video.srcObject = null;
  }

  /** The next frame, or null after a stop; waits until the page is visible. */
  async frame() {
    await new Promise(requestAnimationFrame);
    return this.isOn ? createImageBitmap(this.#video) : null;
  }
}
