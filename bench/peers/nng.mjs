// A REQ client over ipc with as much msgpack as tally's questions and answers need.
import net from 'node:net';

const PROTOCOL_REQ = 0x30;

export function pack(value) {
	if (value === true || value === false)
		return Buffer.from([value ? 0xc3 : 0xc2]);
	if (typeof value === 'number') {
		const buf = Buffer.alloc(9);
		buf[0] = 0xd3;
		buf.writeBigInt64BE(BigInt(value), 1);
		return buf;
	}
	if (typeof value === 'string') {
		const text = Buffer.from(value);
		return Buffer.concat([Buffer.from([0xda, text.length >> 8, text.length & 0xff]), text]);
	}
	const pairs = Object.entries(value);
	return Buffer.concat([Buffer.from([0xde, pairs.length >> 8, pairs.length & 0xff]),
		...pairs.flatMap(([key, inner]) => [pack(key), pack(inner)])]);
}

class Reader {
	constructor(buf) {
		this.buf = buf;
		this.at = 0;
	}

	take(bytes) {
		this.at += bytes;
		return this.buf.subarray(this.at - bytes, this.at);
	}

	uint(bytes) {
		const part = this.take(bytes);
		return bytes === 8 ? Number(part.readBigUInt64BE()) : part.readUIntBE(0, bytes);
	}

	int(bytes) {
		const part = this.take(bytes);
		return bytes === 8 ? Number(part.readBigInt64BE()) : part.readIntBE(0, bytes);
	}

	list(count) {
		return Array.from({ length: count }, () => this.read());
	}

	map(count) {
		const map = {};
		for (let i = 0; i < count; i++) {
			const key = this.read();
			map[key] = this.read();
		}
		return map;
	}

	read() {
		const head = this.uint(1);
		if (head < 0x80)
			return head;
		if (head >= 0xe0)
			return head - 0x100;
		if (head < 0x90)
			return this.map(head & 15);
		if (head < 0xa0)
			return this.list(head & 15);
		if (head < 0xc0)
			return this.take(head & 31).toString();
		switch (head) {
		case 0xc0: return null;
		case 0xc2: return false;
		case 0xc3: return true;
		case 0xc4: case 0xc5: case 0xc6: return this.take(this.uint(1 << (head - 0xc4)));
		case 0xcc: case 0xcd: case 0xce: case 0xcf: return this.uint(1 << (head - 0xcc));
		case 0xd0: case 0xd1: case 0xd2: case 0xd3: return this.int(1 << (head - 0xd0));
		case 0xd9: case 0xda: case 0xdb: return this.take(this.uint(1 << (head - 0xd9))).toString();
		case 0xdc: return this.list(this.uint(2));
		case 0xdd: return this.list(this.uint(4));
		case 0xde: return this.map(this.uint(2));
		case 0xdf: return this.map(this.uint(4));
		}
		throw new Error(`msgpack: ${head}`);
	}
}

export class Req {
	static async open(path) {
		const req = new Req();
		req.no = 0x80000000;
		req.got = Buffer.alloc(0);
		req.isOpen = false;
		req.socket = net.connect(path);
		req.socket.write(Buffer.from([0, 0x53, 0x50, 0, 0, PROTOCOL_REQ, 0, 0]));
		req.socket.on('data', (data) => req.receive(data));
		await new Promise((resolve) => {
			req.opened = resolve;
		});
		return req;
	}

	receive(data) {
		this.got = Buffer.concat([this.got, data]);
		if (!this.isOpen && this.got.length >= 8) {
			this.isOpen = true;
			this.got = this.got.subarray(8);
			this.opened();
		}
		// Each message: 1, its length in 8 bytes, the request's number, the reply.
		while (this.isOpen && this.got.length >= 9) {
			const end = 9 + Number(this.got.readBigUInt64BE(1));
			if (this.got.length < end)
				return;
			const reply = this.got.subarray(13, end);
			this.got = this.got.subarray(end);
			this.answered(reply);
		}
	}

	// The reply as it came: decoding is not the server's time.
	async ask(request) {
		const body = pack(request), head = Buffer.alloc(13);
		head[0] = 1;
		head.writeBigUInt64BE(BigInt(body.length + 4), 1);
		head.writeUInt32BE(++this.no, 9);
		const answer = new Promise((resolve) => {
			this.answered = resolve;
		});
		this.socket.write(Buffer.concat([head, body]));
		return answer;
	}

	close() {
		this.socket.destroy();
	}
}

export function unpack(buf) {
	return new Reader(buf).read();
}
