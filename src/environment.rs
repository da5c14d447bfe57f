//! State of one JS environment (a page, a worker, a Node process), and its teardown together with the environment.
//!
//! A page reload creates a new environment in the same process while the threads of this crate live on, so nothing that
//! refers to JS may be a process-wide static. One [`JsEnvironment`] holds the only threadsafe function, the views,
//! the events and the engine; threads hold it weakly or through views, and it is closed before the environment dies.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use engine::Engine;
use napi::{Env, Error, Result, Status, sys};
use parking_lot::Mutex;

use crate::events::EventQueue;
use crate::view::View;

/// Number by which JS identifies a view.
pub type ViewId = u32;

/// First argument of the wake-up that concerns no view; the second is [`EVENTS`] or [`LATER`].
const NO_VIEW: ViewId = 0;
/// Events are queued.
const EVENTS: i32 = 0;
/// `resume` is to be called soon, after other work of the page.
const LATER: i32 = -1;
/// Second argument instead of a view's slot: create a ring of this size.
const NEW_RING: i32 = -1;
/// Longest time that one wake-up keeps the JS thread.
const MAX_TURN: Duration = Duration::from_millis(8);

/// Node's handle for waking the JS thread from any thread.
struct WakeUp(sys::napi_threadsafe_function);

// SAFETY: a threadsafe function may be called from every thread while it lives; `JsEnvironment` ensures that.
unsafe impl Send for WakeUp {}

/// One JS environment: its wake-up, events, views and engine.
pub struct JsEnvironment {
    /// `None` once the environment is going.
    wake_up: Mutex<Option<WakeUp>>,
    /// Whether a wake-up is pending, so that any number of requests cost one.
    pending: AtomicBool,
    /// Events that JS has not fetched yet.
    pub events: EventQueue,
    /// The views that JS has created.
    pub views: Mutex<BTreeMap<ViewId, Arc<View>>>,
    /// The engine, if one was created.
    pub engine: Mutex<Option<Arc<Engine>>>,
}

impl JsEnvironment {
    /// Binds a environment to the environment. `wake` is called on the JS thread as `wake(view, slot, width, height)`; see
    /// [`crate::engine::NativeEngine::new`].
    pub fn bind(env: &Env, wake: sys::napi_value) -> Result<Arc<Self>> {
        let environment = Arc::new(Self {
            wake_up: Mutex::new(None),
            pending: AtomicBool::new(false),
            events: EventQueue::default(),
            views: Mutex::default(),
            engine: Mutex::default(),
        });
        let wake_up = create_wake_up(env.raw(), wake, &environment)?;
        *environment.wake_up.lock() = Some(wake_up);
        add_cleanup_hook(env.raw(), &environment)?;
        Ok(environment)
    }

    /// Wakes the JS thread unless a wake-up is pending already. Any thread.
    pub fn request_wake_up(&self) {
        if self.pending.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut wake_up = self.wake_up.lock();
        let Some(WakeUp(function)) = *wake_up else { return };
        let mode = sys::ThreadsafeFunctionCallMode::nonblocking;
        // SAFETY: the function lives: the cleanup hook takes it out under this lock before Node deletes it.
        let status = unsafe { sys::napi_call_threadsafe_function(function, ptr::null_mut(), mode) };
        if status != sys::Status::napi_ok {
            *wake_up = None;
        }
    }

    /// The view of that number.
    pub fn view(&self, id: ViewId) -> Option<Arc<View>> {
        self.views.lock().get(&id).cloned()
    }

    /// Closes everything before the environment ends: after this no thread wakes it or writes into its memory.
    fn close(&self) {
        *self.wake_up.lock() = None;
        let views = std::mem::take(&mut *self.views.lock());
        for view in views.values() {
            view.close();
        }
        let engine = self.engine.lock().take();
        if let Some(engine) = engine {
            engine.destroy();
        }
    }

    /// Continues with the work that was deferred by [`LATER`].
    pub fn resume(&self) {
        self.pending.store(false, Ordering::Release);
        self.request_wake_up();
    }

    /// Processes all pending work on the JS thread, including work that arrives in the meantime, up to a limit: when drawing
    /// cannot keep up, the page's own work runs in between.
    fn run(&self, js: &Caller) {
        let started = Instant::now();
        loop {
            if self.pass(js) == Called::EnvironmentGoing {
                return;
            }
            // Wake-ups during the pass were suppressed by the flag. The swap acquires what they published before.
            self.pending.swap(false, Ordering::AcqRel);
            if !self.has_work() || self.pending.swap(true, Ordering::AcqRel) {
                return;
            }
            if started.elapsed() > MAX_TURN {
                js.call(NO_VIEW, LATER, 0, 0);
                return;
            }
        }
    }

    /// One round: events, rings to create, frames to draw.
    fn pass(&self, js: &Caller) -> Called {
        if !self.events.is_empty() && js.call(NO_VIEW, EVENTS, 0, 0) == Called::EnvironmentGoing {
            return Called::EnvironmentGoing;
        }
        let views: Vec<_> = self.views.lock().iter().map(|(id, view)| (*id, view.clone())).collect();
        for (id, view) in views {
            if let Some((width, height)) = view.take_wanted_size()
                && js.call(id, NEW_RING, width, height) == Called::EnvironmentGoing
            {
                return Called::EnvironmentGoing;
            }
            let Some(drawing) = view.begin_drawing() else { continue };
            let called = js.call(id, drawing.slot as i32, 0, 0);
            view.end_drawing(&drawing, called == Called::Returned);
            if called == Called::EnvironmentGoing {
                return Called::EnvironmentGoing;
            }
        }
        Called::Returned
    }

    fn has_work(&self) -> bool {
        !self.events.is_empty() || self.views.lock().values().any(|view| view.has_work())
    }
}

fn create_wake_up(env: sys::napi_env, wake: sys::napi_value, environment: &Arc<JsEnvironment>) -> Result<WakeUp> {
    let mut name = ptr::null_mut();
    // SAFETY: `env` is the live environment of the calling JS thread; the text is 4 bytes long.
    check(unsafe { sys::napi_create_string_utf8(env, c"zego".as_ptr(), 4, &mut name) }, "name")?;
    let context = Weak::into_raw(Arc::downgrade(environment)).cast_mut().cast::<c_void>();
    let mut function = ptr::null_mut();
    // SAFETY: `wake` is a value of this environment, and `context` lives until `drop_context`, which runs once.
    let status = unsafe {
        sys::napi_create_threadsafe_function(
            env,
            wake,
            ptr::null_mut(),
            name,
            0,
            1,
            context,
            Some(drop_context),
            context,
            Some(on_wake_up),
            &mut function,
        )
    };
    check(status, "threadsafe function")?;
    // SAFETY: the function was made above. Unreferenced, so that a plain Node process may end.
    check(unsafe { sys::napi_unref_threadsafe_function(env, function) }, "unref")?;
    Ok(WakeUp(function))
}

/// Hooks run in reverse order: added right after the threadsafe function, ours runs before Node deletes it.
fn add_cleanup_hook(env: sys::napi_env, environment: &Arc<JsEnvironment>) -> Result<()> {
    // One allocation per hook: Node aborts when a hook is added twice with the same argument.
    let argument = Box::into_raw(Box::new(environment.clone())).cast::<c_void>();
    // SAFETY: `argument` is given back once, by `on_environment_going`.
    check(unsafe { sys::napi_add_env_cleanup_hook(env, Some(on_environment_going), argument) }, "cleanup hook")
}

fn check(status: sys::napi_status, what: &str) -> Result<()> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    Err(Error::new(Status::from(status), format!("Node-API refused: {what}")))
}

unsafe extern "C" fn on_environment_going(argument: *mut c_void) {
    // SAFETY: made by `add_cleanup_hook`, and Node calls a hook once.
    let environment = unsafe { Box::from_raw(argument.cast::<Arc<JsEnvironment>>()) };
    environment.close();
}

unsafe extern "C" fn drop_context(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: made by `create_wake_up`, and Node finalizes a threadsafe function once.
    drop(unsafe { Weak::from_raw(data.cast::<JsEnvironment>()) });
}

unsafe extern "C" fn on_wake_up(
    env: sys::napi_env,
    callback: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    // Node drains the queue without an environment when that ends; older versions after the finalizer, so the
    // context must not be touched before this.
    if env.is_null() || callback.is_null() {
        return;
    }
    // SAFETY: with an environment the finalizer has not run, so the weak reference is alive.
    let weak = std::mem::ManuallyDrop::new(unsafe { Weak::from_raw(context.cast::<JsEnvironment>().cast_const()) });
    let Some(environment) = weak.upgrade() else { return };
    if let Some(caller) = Caller::new(env, callback) {
        environment.run(&caller);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Called {
    Returned,
    Threw,
    EnvironmentGoing,
}

/// Calls the JS function of the wake-up.
struct Caller {
    env: sys::napi_env,
    callback: sys::napi_value,
    this: sys::napi_value,
}

impl Caller {
    fn new(env: sys::napi_env, callback: sys::napi_value) -> Option<Self> {
        let mut this = ptr::null_mut();
        // SAFETY: `env` is the live environment that Node gave to the wake-up.
        let status = unsafe { sys::napi_get_undefined(env, &mut this) };
        (status == sys::Status::napi_ok).then_some(Self { env, callback, this })
    }

    fn call(&self, view: ViewId, slot: i32, width: u32, height: u32) -> Called {
        let mut scope = ptr::null_mut();
        // SAFETY: live environment. The scope keeps a long round over many views from piling up handles.
        if unsafe { sys::napi_open_handle_scope(self.env, &mut scope) } != sys::Status::napi_ok {
            return Called::EnvironmentGoing;
        }
        let called = self.call_in_scope(view, slot, width, height);
        // SAFETY: opened above.
        unsafe { sys::napi_close_handle_scope(self.env, scope) };
        called
    }

    fn call_in_scope(&self, view: ViewId, slot: i32, width: u32, height: u32) -> Called {
        let mut arguments = [ptr::null_mut(); 4];
        // SAFETY: live environment, the pointers are to locals.
        let made = unsafe {
            [
                sys::napi_create_uint32(self.env, view, &mut arguments[0]),
                sys::napi_create_int32(self.env, slot, &mut arguments[1]),
                sys::napi_create_uint32(self.env, width, &mut arguments[2]),
                sys::napi_create_uint32(self.env, height, &mut arguments[3]),
            ]
        };
        if made.iter().any(|status| *status != sys::Status::napi_ok) {
            return Called::EnvironmentGoing;
        }
        let mut result = ptr::null_mut();
        // SAFETY: the callback and the arguments are values of this environment, made in an open scope.
        let status =
            unsafe { sys::napi_call_function(self.env, self.this, self.callback, 4, arguments.as_ptr(), &mut result) };
        match status {
            sys::Status::napi_ok => Called::Returned,
            sys::Status::napi_pending_exception => {
                let mut exception = ptr::null_mut();
                // SAFETY: live environment. Left pending, the exception would make every further call fail.
                unsafe { sys::napi_get_and_clear_last_exception(self.env, &mut exception) };
                Called::Threw
            }
            _ => Called::EnvironmentGoing,
        }
    }
}
